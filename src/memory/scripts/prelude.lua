-- What scripts find in place of Lua's own globals. Nothing that a script changes is there in the next run: each
-- has tables of its own, and those that all share are behind them and cannot be written.
local native, tools = ...
local error, getmetatable, rawget, select, setmetatable, tostring, type =
  native.error, native.getmetatable, native.rawget, native.select, native.setmetatable, native.tostring, native.type

local function refuse()
  error('Attempt to modify a readonly table', 2)
end

local function readonly(fields)
  return setmetatable({}, { __index = fields, __newindex = refuse, __metatable = false })
end

local shared = {}
for _, name in native.ipairs {
  '_VERSION', 'assert', 'error', 'gcinfo', 'getmetatable', 'ipairs', 'next', 'pairs', 'rawequal', 'rawget',
  'rawset', 'select', 'setmetatable', 'tonumber', 'tostring', 'type', 'unpack',
} do
  shared[name] = native[name]
end
shared.loadstring = tools.loadstring

function shared.load(read, name)
  local pieces = {}
  while true do
    local piece = read()
    if piece == nil or piece == '' then
      return tools.loadstring(native.table.concat(pieces), name or '=(load)')
    end
    pieces[#pieces + 1] = piece
  end
end

-- The other options would change the collector for all scripts.
function shared.collectgarbage(option)
  if option == nil or option == 'collect' or option == 'count' then
    return native.collectgarbage(option)
  end
  return 0
end

-- As in Redis, an error of redis.call is a text to pcall.
local function caught(is_ok, ...)
  if is_ok then
    return true, ...
  end
  tools.check_time()
  local problem = tools.value((...))
  if type(problem) == 'table' and type(rawget(problem, 'err')) == 'string' then
    problem = problem.err
  end
  return false, problem
end

function shared.pcall(...)
  return caught(native.pcall(...))
end

local function handled(...)
  tools.check_time()
  return ...
end

function shared.xpcall(body, handle)
  return handled(native.xpcall(body, function(problem)
    -- What runs after an error of a hook is not interrupted again.
    if tools.is_late() then
      return problem
    end
    return handle(tools.value(problem))
  end))
end

local function resumed(is_ok, ...)
  if is_ok then
    return true, ...
  end
  tools.check_time()
  return false, tools.value((...))
end

local coroutine = {}
for name, value in native.pairs(native.coroutine) do
  coroutine[name] = value
end
function coroutine.resume(...)
  return resumed(native.coroutine.resume(...))
end

native.math.random, native.math.randomseed = tools.random, tools.randomseed
-- Functions are not to be loaded from bytes, since nothing checks them.
native.string.dump = nil
getmetatable('').__metatable = readonly { __index = readonly(native.string) }

local libraries = {
  cjson = tools.cjson,
  coroutine = coroutine,
  math = native.math,
  os = { clock = native.os.clock },
  string = native.string,
  table = native.table,
}
local redis = { __index = tools.redis }

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end
setmetatable(shared, { __index = missing })

-- The globals of a run.
return function(functions, keys, arguments)
  local own = { KEYS = keys, ARGV = arguments, redis = readonly(setmetatable(functions, redis)) }
  for name, library in native.pairs(libraries) do
    own[name] = readonly(library)
  end
  local globals = readonly(setmetatable(own, { __index = shared }))
  own._G = globals
  return globals
end
