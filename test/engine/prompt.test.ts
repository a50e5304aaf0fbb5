/** What the library's other parts use besides: what is there is taken without a promise, and what is not is waited for. */
import { expect, test } from 'vitest'
import type { P2PConnection, PromptConnection } from '../../src/core/connection.ts'
import type { P2PStream, PromptStream, StreamReader } from '../../src/core/stream.ts'
import { failed, onEveryCarrier, outcome, string, text } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import type { Pair } from '../support/memory-node.ts'

type Prompt = P2PStream & Required<PromptStream>

async function streamPair({ client, server }: Pair): Promise<{ ours: Prompt; theirs: Prompt }> {
  const ours = (await client.openStream()) as Prompt
  await ours.write(text('!'))
  const theirs = (await server.acceptStream()) as Prompt
  await theirs.readExactly(1)
  return { ours, theirs }
}

class Watcher implements StreamReader {
  readonly heard: unknown[] = []
  onReadable(): void {
    this.heard.push('readable')
  }
  onUnreadable(error: unknown): void {
    this.heard.push(error)
  }
}

onEveryCarrier('a stream that is watched', (make) => {
  test('says once that there is something to read, be it the end', async () => {
    const { ours, theirs } = await streamPair(await make())
    const watcher = new Watcher()
    theirs.whenReadable(watcher)
    expect(theirs.readNow(10)).toBeUndefined()
    await settle()
    expect(watcher.heard).toEqual([])
    await ours.write(text('one'))
    await ours.write(text('two'))
    await settle()
    expect(watcher.heard).toEqual(['readable'])
    expect(string(await theirs.readExactly(6))).toBe('onetwo')
    theirs.whenReadable(watcher)
    await ours.finishNow()
    await settle()
    expect(watcher.heard).toEqual(['readable', 'readable'])
    expect(theirs.readNow(10)).toBeNull()
    theirs.whenReadable(watcher)
    expect(watcher.heard).toHaveLength(2)
    await settle()
    expect(watcher.heard).toEqual(['readable', 'readable', 'readable'])
  })

  test('says so of what is there already, though not at once', async () => {
    const { ours, theirs } = await streamPair(await make())
    await ours.write(text('abc'))
    expect(string(await theirs.read(1))).toBe('a')
    const watcher = new Watcher()
    theirs.whenReadable(watcher)
    expect(watcher.heard).toEqual([])
    await settle()
    expect(watcher.heard).toEqual(['readable'])
    expect(string(theirs.readNow(9) ?? undefined)).toBe('bc')
  })

  test('tells what a read would fail with, before and after it has failed', async () => {
    const { ours, theirs } = await streamPair(await make())
    const watcher = new Watcher()
    theirs.whenReadable(watcher)
    ours.reset(7)
    await settle()
    expect(watcher.heard).toEqual([expect.objectContaining({ code: 'stream-reset', streamCode: 7 })])
    theirs.whenReadable(watcher)
    expect(watcher.heard).toHaveLength(1)
    await settle()
    expect(watcher.heard[1]).toBe(watcher.heard[0])
    expect(theirs.readNow(10)).toBeUndefined()
  })

  test('has no other reader meanwhile', async () => {
    const { ours, theirs } = await streamPair(await make())
    const watcher = new Watcher()
    theirs.whenReadable(watcher)
    expect(await outcome(theirs.read())).toEqual(failed('limit-exceeded', { limit: 'readers', max: 1 }))
    await ours.write(text('x'))
    await settle()
    expect(watcher.heard).toEqual(['readable'])
    expect(string(await theirs.read())).toBe('x')
  })

  test('hears of the end of the connection', async () => {
    const pair = await make()
    const { theirs } = await streamPair(pair)
    const watcher = new Watcher()
    theirs.whenReadable(watcher)
    pair.client.close()
    await settle()
    expect(watcher.heard).toEqual([expect.objectContaining({ code: 'connection-closed' })])
  })
})

onEveryCarrier('a connection', (make) => {
  test('hands out at once what waits to be accepted, and nothing else', async () => {
    const { client, server } = await make()
    const prompt = server as P2PConnection & Required<PromptConnection>
    const accepting = server.acceptStream()
    await (await client.openStream()).write(text('first'))
    await accepting
    expect(prompt.acceptStreamNow({})).toBeUndefined()
    await (await client.openStream()).write(text('second'))
    await settle()
    expect(prompt.acceptStreamNow({ kind: 'request' })).toBeUndefined()
    expect(string(await prompt.acceptStreamNow({})?.read())).toBe('second')
    expect(prompt.acceptStreamNow({})).toBeUndefined()
  })

  test('that is closed opens nothing', async () => {
    const { client } = await make()
    client.close()
    expect(() => (client as P2PConnection & Required<PromptConnection>).openStreamNow({})).toThrow(
      expect.objectContaining({ code: 'connection-closed' }) as Error,
    )
  })
})
