// What flows in the soak: bytes that follow from a number, so that both sides know what must arrive, and the randomness
// that says what happens.

/** A small generator (mulberry32): the same choices for the same seed, as far as the real world lets them be. */
export function randomFrom(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d_2b_79_f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    /** A whole number from `low` to below `high`. */
    between: (low, high) => low + Math.floor(next() * (high - low)),
    pick: (list) => list[Math.floor(next() * list.length)],
  }
}

/** `length` bytes of a flow. */
export function contentOf(flow, length) {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (flow * 167 + i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff
  return bytes
}

/** Whether these are the first bytes of a flow, and as many as they should be. */
export function isContent(bytes, flow, length) {
  return bytes.length === length && Buffer.compare(bytes, contentOf(flow, length)) === 0
}

/** Of messages and streams: the flow's number goes first. */
export function withNumber(flow, length) {
  const bytes = new Uint8Array(4 + length)
  new DataView(bytes.buffer).setUint32(0, flow)
  bytes.set(contentOf(flow, length), 4)
  return bytes
}

export const numberOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
