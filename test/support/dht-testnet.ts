/**
 * A mainline DHT of its own, on loopback: nodes of the library that store and answer.
 *
 * @module
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import type { AddressInfo } from 'node:net'
import DHT from 'bittorrent-dht'
import { verifySignature } from '../../src/core/keys.ts'
import { NodeId } from '../../src/core/node-id.ts'
import { decodeBencode, encodeBencode } from '../../src/discovery/dht/bencode.ts'
import type { Bencoded, Dictionary } from '../../src/discovery/dht/bencode.ts'
import type { SignedPacket } from '../../src/discovery/pkarr/signed-packet.ts'

/** What a node that serves has besides. */
interface ServingNode extends EventEmitter {
  readonly _values: { readonly cache: Readonly<Record<string, { readonly value: StoredItem }>> }
  listen(port: number, host: string): void
  address(): AddressInfo
  addNode(contact: { readonly host: string; readonly port: number }): void
  destroy(done: () => void): void
}

/** An item that a node stores. */
export interface StoredItem {
  readonly v: Uint8Array
  readonly seq: number
  readonly sig: Uint8Array
  readonly k: Uint8Array
}

/** A DHT. */
export interface DhtTestnet extends AsyncDisposable {
  /** Its nodes, as `ip:port`. */
  readonly bootstrap: readonly string[]
  /** What its nodes store, in no order. */
  readonly items: () => readonly StoredItem[]
}

const Serving = DHT as unknown as new (options: object) => ServingNode

const verify = (signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean =>
  verifySignature(NodeId.fromPublicKey(key), message, signature)

/** Starts one of `size` nodes, all of which know the first one. */
export async function dhtTestnet(size = 5): Promise<DhtTestnet> {
  const nodes: ServingNode[] = []
  const bootstrap: string[] = []
  for (let i = 0; i < size; i++) {
    const known = bootstrap.slice(0, 1)
    const node = new Serving({ bootstrap: known.length > 0 ? known : false, verify, host: '127.0.0.1', timeout: 500 })
    node.listen(0, '127.0.0.1')
    await once(node, 'listening')
    if (known.length > 0) await once(node, 'ready')
    nodes.push(node)
    bootstrap.push(`127.0.0.1:${node.address().port}`)
  }
  return {
    bootstrap,
    items: () => nodes.flatMap((node) => Object.values(node._values.cache).map(({ value }) => value)),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map((node) => new Promise<void>((resolve) => node.destroy(resolve))))
    },
  }
}

/** A node that answers as a test says. */
export interface RawDhtNode extends AsyncDisposable {
  /** Where it is, as `ip:port`. */
  readonly place: string
  /** What it has been asked, oldest first. */
  readonly asked: Dictionary[]
}

/** Answers a query, given its number and its kind (`get`, `put`, …), with the bytes of a packet, or not at all. */
export type RawAnswer = (transaction: Uint8Array, kind: string, query: Dictionary) => Uint8Array | undefined

/** Starts one. */
export async function rawDhtNode(answer: RawAnswer): Promise<RawDhtNode> {
  const socket = createSocket('udp4')
  const asked: Dictionary[] = []
  socket.on('message', (packet, from) => {
    const query = decodeBencode(packet) as Dictionary
    asked.push(query)
    const reply = answer(query.get('t') as Uint8Array, Buffer.from(query.get('q') as Uint8Array).toString(), query)
    if (reply) socket.send(reply, from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    place: `127.0.0.1:${socket.address().port}`,
    asked,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

/** Starts several, which end together. */
export async function rawDhtNodes(answers: readonly RawAnswer[]): Promise<AsyncDisposable & { nodes: RawDhtNode[] }> {
  const nodes = await Promise.all(answers.map((answer) => rawDhtNode(answer)))
  const dispose = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()))
  }
  return { nodes, [Symbol.asyncDispose]: dispose }
}

/** An answer with these values; `id` and a token are there unless they are given. */
export function dhtReply(transaction: Uint8Array, values: Readonly<Record<string, Bencoded>>): Uint8Array {
  const given = { id: new Uint8Array(20).fill(7), token: Buffer.from('token'), ...values }
  return encodeBencode(
    new Map<string, Bencoded>([
      ['t', transaction],
      ['y', Buffer.from('r')],
      ['r', new Map(Object.entries(given))],
    ]),
  )
}

/** A record as the values of an answer. */
export function itemValues({ id, dns, timestampUs, signature }: SignedPacket): Record<string, Bencoded> {
  return { k: id.asBytes(), v: dns, seq: Number(timestampUs), sig: signature }
}
