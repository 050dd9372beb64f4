-- Sets or deletes JSON documents, each unless a newer version of it stands.
--
-- KEYS: two for each row: where its document stands, where its tombstone stands.
-- ARGV: how long a tombstone stays, in milliseconds; then for each row its version, how many arguments follow (one or
--       none), and the document, whose first member is "_version". None deletes.

-- Versions are decimal text: numbers of Lua lose digits beyond 2^53.
local function older(a, b)
  return #a < #b or (#a == #b and a < b)
end

local at = 2
for row = 1, #KEYS, 2 do
  local key, tombstone, version, count = KEYS[row], KEYS[row + 1], ARGV[at], tonumber(ARGV[at + 1])
  -- A version has at most 20 digits: the front of the document tells it.
  local front = redis.pcall('GETRANGE', key, 0, 40)
  if type(front) == 'table' and front.err then
    return redis.error_reply(front.err .. ' at key ' .. key)
  end
  local standing = string.match(front, '^{"_version":(%d+)') or redis.call('GET', tombstone)
  if not (standing and older(version, standing)) then
    if count == 0 then
      redis.call('DEL', key)
      redis.call('SET', tombstone, version, 'PX', ARGV[1])
    else
      redis.call('DEL', tombstone)
      redis.call('SET', key, ARGV[at + 2])
    end
  end
  at = at + 2 + count
end
return redis.status_reply('OK')
