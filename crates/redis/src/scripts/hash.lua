-- Sets or deletes hashes, each unless a newer version of it stands.
--
-- KEYS: two for each row: where its value stands, where its tombstone stands.
-- ARGV: how long a tombstone stays, in milliseconds; then for each row its version, how many arguments follow, and
--       that many: fields and values. None deletes.

-- Versions are decimal text: numbers of Lua lose digits beyond 2^53.
local function older(a, b)
  return #a < #b or (#a == #b and a < b)
end

local at = 2
for row = 1, #KEYS, 2 do
  local key, tombstone, version, count = KEYS[row], KEYS[row + 1], ARGV[at], tonumber(ARGV[at + 1])
  local found = redis.pcall('HGET', key, '_version')
  if type(found) == 'table' and found.err then
    return redis.error_reply(found.err .. ' at key ' .. key)
  end
  local standing = found or redis.call('GET', tombstone)
  if not (standing and older(version, standing)) then
    redis.call('DEL', key)
    if count == 0 then
      redis.call('SET', tombstone, version, 'PX', ARGV[1])
    else
      redis.call('DEL', tombstone)
      redis.call('HSET', key, '_version', version, unpack(ARGV, at + 2, at + 1 + count))
    end
  end
  at = at + 2 + count
end
return redis.status_reply('OK')
