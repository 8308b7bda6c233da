# One answer in three framings, on servers of Rack, which is counted.
counts = File.open(ENV.fetch("COUNTS"), "a")
counts.sync = true
body = %({"label": "#{ENV.fetch("LABEL")}"})

run(lambda do |env|
  counts.write("#{env["PATH_INFO"]}\n")
  framing = env["PATH_INFO"].split("/")[1]
  headers = { "content-type" => "application/json" }
  pieces = [body]
  if framing == "chunked"
    pieces = [body[0, 7], body[7..]].each
  else
    headers["content-length"] = body.bytesize.to_s
  end
  headers["connection"] = "close" if framing == "close"
  [200, headers, pieces]
end)
