# One answer in three framings on WEBrick, which is counted: ruby webrick.rb ADDRESS PORT
require "webrick"

counts = File.open(ENV.fetch("COUNTS"), "a")
counts.sync = true
body = %({"label": "#{ENV.fetch("LABEL")}"})
server = WEBrick::HTTPServer.new(
  BindAddress: ARGV[0], Port: ARGV[1].to_i, AccessLog: [], Logger: WEBrick::Log.new(File::NULL)
)
server.mount_proc("/") do |request, response|
  counts.write("#{request.path}\n")
  response["Content-Type"] = "application/json"
  response.body = body
  case request.path.split("/")[1]
  when "chunked" then response.chunked = request.http_version >= "1.1"
  when "close" then response.keep_alive = false
  end
end
trap("TERM") { server.shutdown }
server.start
