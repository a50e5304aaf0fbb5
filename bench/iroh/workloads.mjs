// The same work over the raw binding and over the library: same framing, same sizes, same concurrency, same reads.
// The raw side is written as a competent user of the binding would: conversion by loops, one array an operation.
import { P2PError } from '@moosicbox/p2p'

export const RAW_ALPN = 'p2p-bench/raw'
export const READ_BYTES = 65_536

/** The binding takes and gives arrays of numbers; these loops are the fastest conversions there are. */
export function toArray(bytes) {
  // oxlint-disable-next-line unicorn/no-new-array -- `Array.from({ length })` takes six times as long
  const array = new Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) array[i] = bytes[i]
  return array
}

export function toBytes(array) {
  const bytes = new Uint8Array(array.length)
  for (let i = 0; i < array.length; i++) bytes[i] = array[i]
  return bytes
}

const HEADER = Uint8Array.of(1, 0)

/** A length-prefixed message, as the library frames it: a QUIC varint and the bytes. */
export function frame(payload) {
  const framed = new Uint8Array(payload.length + 4)
  new DataView(framed.buffer).setUint32(0, (payload.length | 0x80000000) >>> 0)
  framed.set(payload, 4)
  return framed
}

function withHeader(payload) {
  const bytes = new Uint8Array(payload.length + HEADER.length)
  bytes.set(HEADER)
  bytes.set(payload, HEADER.length)
  return bytes
}

/** One request on a stream of its own, raw. */
async function rawEcho(connection, payload) {
  const stream = await connection.openBi()
  const send = stream.send
  const receive = stream.recv
  await send.writeAll(toArray(withHeader(payload)))
  await send.finish()
  let length = 0
  for (;;) {
    const chunk = await receive.read(READ_BYTES)
    if (chunk.length === 0) return length
    length += toBytes(chunk).length
  }
}

async function libraryEcho(connection, payload) {
  const stream = await connection.openStream()
  await stream.write(payload)
  await stream.finish()
  let length = 0
  for (let chunk = await stream.read(); chunk; chunk = await stream.read()) length += chunk.length
  return length
}

/** `count` messages of `size`; the time ends with the receiver's word that it has them all. */
async function rawMessages(connection, size, count) {
  const payload = new Uint8Array(size).fill(7)
  const send = await connection.openUni()
  for (let i = 0; i < count; i++) await send.writeAll(toArray(frame(payload)))
  await send.finish()
  await rawEcho(connection, Uint8Array.of(0x6d))
}

async function libraryMessages(connection, size, count) {
  const payload = new Uint8Array(size).fill(7)
  for (let i = 0; i < count; i++) await connection.send(payload)
  await connection.send(Uint8Array.of(0x6d))
  await connection.recv()
}

async function rawStream(connection, size, count) {
  const chunk = new Uint8Array(size).fill(7)
  const stream = await connection.openBi()
  const send = stream.send
  await send.writeAll(toArray(withHeader(Uint8Array.of(0x62))))
  for (let i = 0; i < count; i++) await send.writeAll(toArray(chunk))
  await send.finish()
  const answer = await stream.recv.read(16)
  if (answer.length !== 1) throw new Error('the peer did not confirm')
}

async function libraryStream(connection, size, count) {
  const chunk = new Uint8Array(size).fill(7)
  const stream = await connection.openStream()
  await stream.write(Uint8Array.of(0x62))
  for (let i = 0; i < count; i++) await stream.write(chunk)
  await stream.finish()
  const answer = await stream.read(16)
  if (answer?.length !== 1) throw new Error('the peer did not confirm')
}

/** Runs `work` `count` times, `inFlight` at a time. */
export async function concurrently(count, inFlight, work) {
  let left = count
  const lane = async () => {
    while (left-- > 0) await work()
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

export const raw = { echo: rawEcho, messages: rawMessages, stream: rawStream }
export const library = { echo: libraryEcho, messages: libraryMessages, stream: libraryStream }

/** Answers of the server, raw. */
export async function serveRaw(connection) {
  let messagesDone = Promise.resolve()
  const streams = async () => {
    for (;;) {
      const stream = await connection.acceptBi()
      void answer(stream).catch(() => {})
    }
  }
  const answer = async (stream) => {
    const receive = stream.recv
    const send = stream.send
    const first = toBytes(await receive.read(READ_BYTES))
    const kind = first[2]
    let rest = first.subarray(2)
    if (kind === 0x62) {
      for (;;) {
        const chunk = await receive.read(READ_BYTES)
        if (chunk.length === 0) break
        toBytes(chunk)
      }
      await send.writeAll([1])
      await send.finish()
      return
    }
    for (;;) {
      const chunk = await receive.read(READ_BYTES)
      if (chunk.length === 0) break
      rest = Buffer.concat([rest, toBytes(chunk)])
    }
    if (kind === 0x6d) await messagesDone
    await send.writeAll(toArray(rest))
    await send.finish()
  }
  const messages = async () => {
    for (;;) {
      const receive = await connection.acceptUni()
      messagesDone = takeMessages(receive)
      await messagesDone
    }
  }
  await Promise.allSettled([streams(), messages()])
}

async function takeMessages(receive) {
  let partial
  let filled = 0
  let rest = Buffer.alloc(0)
  let count = 0
  for (;;) {
    const array = await receive.read(READ_BYTES)
    if (array.length === 0) return count
    const bytes = toBytes(array)
    let source = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes
    let offset = 0
    rest = Buffer.alloc(0)
    while (offset < source.length) {
      if (!partial) {
        if (source.length - offset < 4) {
          rest = Buffer.from(source.subarray(offset))
          break
        }
        const view = new DataView(source.buffer, source.byteOffset + offset)
        partial = new Uint8Array(view.getUint32(0) & 0x7fffffff)
        filled = 0
        offset += 4
      }
      const part = source.subarray(offset, offset + partial.length - filled)
      partial.set(part, filled)
      filled += part.length
      offset += part.length
      if (filled === partial.length) {
        count++
        partial = undefined
      }
    }
  }
}

/** Answers of the server, over the library. */
export async function serveLibrary(connection) {
  const streams = async () => {
    for (;;) {
      const stream = await connection.acceptStream()
      void answer(stream).catch(() => {})
    }
  }
  const answer = async (stream) => {
    const first = await stream.read()
    if (first?.[0] === 0x62) {
      for (let chunk = await stream.read(); chunk; chunk = await stream.read()) void chunk
      await stream.write(Uint8Array.of(1))
      await stream.finish()
      return
    }
    let rest = first ?? new Uint8Array(0)
    for (let chunk = await stream.read(); chunk; chunk = await stream.read()) rest = Buffer.concat([rest, chunk])
    await stream.write(rest)
    await stream.finish()
  }
  const messages = async () => {
    for await (const message of connection) {
      if (message.length === 1 && message[0] === 0x6d) await connection.send(message)
    }
  }
  const ended = (error) => {
    if (!P2PError.is(error)) throw error
  }
  await Promise.all([streams().catch(ended), messages().catch(ended)])
}
