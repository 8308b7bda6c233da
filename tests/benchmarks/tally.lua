-- wrk counts the labels that it is answered: the rival's best case for the same work.
-- Bodies are interned strings, so one table look-up counts a response; they are read once,
-- at the end. Made for one thread (-t1).

local running = nil

function setup(thread)
   running = thread
end

function init(args)
   bodies = {}
end

function response(status, headers, body)
   bodies[body] = (bodies[body] or 0) + 1
end

function done(summary, latency, requests)
   local labels = {}
   for body, count in pairs(running:get("bodies")) do
      local label = string.match(body, '"label": "(.-)"') or "unlabelled"
      labels[label] = (labels[label] or 0) + count
   end
   local counts = {}
   for label, count in pairs(labels) do
      counts[#counts + 1] = string.format('"%s": %d', label, count)
   end
   local errors = summary.errors
   print(string.format(
      'TALLY {"counts": {%s}, "requests": %d, "duration_s": %.6f, "errors": %d}',
      table.concat(counts, ", "), summary.requests, summary.duration / 1e6,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
