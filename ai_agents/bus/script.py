"""What Redis does with one batch: a script, so that any number of channels takes one command and one answer.

Its arguments are operations, one after the other:

    publish channel message            tell a message
    begin key channel tag whole piece  write the mirror anew, and tell the piece (empty: the whole)
    piece key channel tag piece        add to the mirror, and tell
    keep key tag                       keep the mirror for another while
    end key tag                        drop the mirror

A mirror is a list, its tag first. A later message's mirror is never written over by an earlier one's, so that a process
that was thought dead does no harm. The answer names the mirrors that are not there and have to be begun again. One that
Redis refuses to write to (out of memory, say) is dropped, as it would have a hole; the messages are told all the same.
"""

# A mirror outlives its process by this much. It is kept every second while its message is being written.
MIRROR_S = 120

SCRIPT = f"""
local missing = {{}}
local function push(key, ...)
  local answer = redis.pcall('RPUSH', key, ...)
  if type(answer) == 'table' and answer.err then
    redis.pcall('DEL', key)
    missing[#missing + 1] = key
  end
end
local function keep(key) redis.pcall('EXPIRE', key, {MIRROR_S}) end
local i, last = 1, #ARGV
while i <= last do
  local what = ARGV[i]
  if what == 'publish' then
    redis.call('PUBLISH', ARGV[i + 1], ARGV[i + 2])
    i = i + 3
  else
    local key = ARGV[i + 1]
    local head = redis.pcall('LINDEX', key, 0)
    if type(head) ~= 'string' then head = '' end
    if what == 'begin' then
      local channel, tag, whole, piece = ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
      if head <= tag then
        redis.pcall('DEL', key)
        push(key, tag, whole)
        keep(key)
        redis.call('PUBLISH', channel, piece == '' and whole or piece)
      end
      i = i + 6
    elseif what == 'piece' then
      local channel, tag, piece = ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
      if head <= tag then
        if head == tag then push(key, piece) else missing[#missing + 1] = key end
        redis.call('PUBLISH', channel, piece)
      end
      i = i + 5
    elseif what == 'keep' then
      local tag = ARGV[i + 2]
      if head == tag then keep(key) elseif head < tag then missing[#missing + 1] = key end
      i = i + 3
    else
      if head == ARGV[i + 2] then redis.pcall('DEL', key) end
      i = i + 3
    end
  end
end
return missing
"""
