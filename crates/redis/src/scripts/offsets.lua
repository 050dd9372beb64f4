-- Puts a checkpoint's offsets in the place of older ones, whole.
--
-- KEYS: the hash.
-- ARGV: generation, epoch, then fields and values.
-- Answers {"stored"}, {"overtaken"} or {"fenced", the generation that stands}; as proxima_event::offsets::decide.

-- Generations and epochs are decimal text: numbers of Lua lose digits beyond 2^53.
local function older(a, b)
  return #a < #b or (#a == #b and a < b)
end

local key, generation, epoch = KEYS[1], ARGV[1], ARGV[2]
local standing = redis.call('HMGET', key, 'generation', 'epoch')
if standing[1] and standing[2] then
  if older(generation, standing[1]) then
    return { 'fenced', standing[1] }
  end
  if generation == standing[1] and older(epoch, standing[2]) then
    return { 'overtaken' }
  end
end
redis.call('DEL', key)
redis.call('HSET', key, 'generation', generation, 'epoch', epoch)
-- In steps: unpack takes a few thousand values at the most.
for at = 3, #ARGV, 1000 do
  redis.call('HSET', key, unpack(ARGV, at, math.min(at + 999, #ARGV)))
end
return { 'stored' }
