-- Whole numbers ≥ 0 of any size: limbs of seven digits, the lowest first; zero has none. Lua's own
-- numbers are exact to 2^53 only, and a bucket counts amount × microseconds.
local LIMB, DIGITS = 10000000, 7
local big = {}

local function trimmed(number)
  while number[#number] == 0 do number[#number] = nil end
  return number
end

function big.of(text)
  local number = {}
  for last = #text, 1, -DIGITS do
    number[#number + 1] = tonumber(string.sub(text, math.max(1, last - DIGITS + 1), last))
  end
  return trimmed(number)
end

function big.text(a)
  if #a == 0 then return '0' end
  local parts = { string.format('%d', a[#a]) }
  for i = #a - 1, 1, -1 do parts[#parts + 1] = string.format('%07d', a[i]) end
  return table.concat(parts)
end

function big.less(a, b)
  if #a ~= #b then return #a < #b end
  for i = #a, 1, -1 do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  return false
end

function big.least(a, b)
  if big.less(b, a) then return b end
  return a
end

function big.add(a, b)
  local sum, carry = {}, 0
  for i = 1, math.max(#a, #b) do
    local limb = (a[i] or 0) + (b[i] or 0) + carry
    carry = limb >= LIMB and 1 or 0
    sum[i] = limb - carry * LIMB
  end
  if carry > 0 then sum[#sum + 1] = carry end
  return sum
end

-- a - b, or 0 where b is more.
function big.over(a, b)
  if big.less(a, b) then return {} end
  local rest, borrow = {}, 0
  for i = 1, #a do
    local limb = a[i] - (b[i] or 0) - borrow
    borrow = limb < 0 and 1 or 0
    rest[i] = limb + borrow * LIMB
  end
  return trimmed(rest)
end

function big.mul(a, b)
  local product = {}
  for i = 1, #a + #b do product[i] = 0 end
  for i = 1, #a do
    local carry = 0
    for j = 1, #b do
      local limb = product[i + j - 1] + a[i] * b[j] + carry
      carry = math.floor(limb / LIMB)
      product[i + j - 1] = limb - carry * LIMB
    end
    product[i + #b] = carry
  end
  return trimmed(product)
end
