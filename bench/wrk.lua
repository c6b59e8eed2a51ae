-- Credentials are lines of "METHOD /path Header: value". Each thread takes every n-th line.
local thread_count = 0

function setup(thread)
  thread:set("id", thread_count)
  thread_count = thread_count + 1
end

function init()
  local threads = tonumber(os.getenv("BENCH_THREADS"))
  local line_number = 0
  requests, count, turn = {}, 0, 0
  for line in io.lines(os.getenv("BENCH_CREDENTIALS")) do
    if line_number % threads == id then
      local method, path, name, value = line:match("^(%S+) (%S+) ([^:]+): (.*)$")
      count = count + 1
      requests[count] = wrk.format(method, path, { [name] = value })
    end
    line_number = line_number + 1
  end
end

function request()
  turn = turn % count + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\n{"requests":%d,"seconds":%f,"p50Ms":%f,"p99Ms":%f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
