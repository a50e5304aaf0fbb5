/**
 * The story over iroh: a server and a player as two processes that talk QUIC over loopback, and this one, which starts
 * them and shows what the player reports. They know each other by a file of names only.
 *
 * @module
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MusicError } from '../errors.ts'
import { formatMs } from '../format.ts'
import { show } from '../report-screen.ts'
import type { Screen } from '../screen.ts'
import type { Task, Word } from './process.ts'

/** Longest wait for the server, which reads the whole library first. */
const READY_TIMEOUT_MS = 60_000

/** Plays the story. */
export async function tellOverIroh(folder: string, screen: Screen, signal: AbortSignal): Promise<void> {
  const startMs = performance.now()
  const directory = await mkdtemp(join(tmpdir(), 'moosicbox-story-'))
  const clean = (): void => rmSync(directory, { recursive: true, force: true })
  // For the second Ctrl-C, after which nothing else is done.
  process.once('exit', clean)
  const names = join(directory, 'names.json')
  const server = new Actor({ role: 'server', folder, names })
  let player: Actor | undefined
  const stop = (): void => [server, player].forEach((actor) => actor?.stop())
  signal.addEventListener('abort', stop, { once: true })
  try {
    const ready = await server.word('READY', READY_TIMEOUT_MS)
    screen.line(`MoosicBox, backend ${ready.backend}: a music server and a player, two processes on this machine`)
    screen.fact('Server', `${ready.nodeId}, process ${server.pid}`)
    player = new Actor({ role: 'player', names })
    player.onReport = (report): void => show(screen, report)
    await player.ended()
    server.say('END')
    await server.ended()
    screen.fact(
      'Summary',
      `the same application as in the simulation, over real QUIC, in ${formatMs(performance.now() - startMs)}`,
    )
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
    await Promise.allSettled([server.ended(), player?.ended()])
    await rm(directory, { recursive: true, force: true })
    process.removeListener('exit', clean)
  }
}

type Ready = Extract<Word, { readonly type: 'READY' }>

/** One of the two processes. */
class Actor {
  onReport: ((report: Extract<Word, { readonly type: 'REPORT' }>['report']) => void) | undefined
  readonly #role: string
  readonly #process: ChildProcess
  readonly #exit: Promise<void>
  #failure: string | undefined
  #ready: ((ready: Ready) => void) | undefined

  constructor(task: Task) {
    this.#role = task.role
    this.#process = fork(fileURLToPath(new URL('./process.js', import.meta.url)), [JSON.stringify(task)], {
      execArgv: ['--conditions=iroh'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#process.on('message', (word: Word) => this.#heard(word))
    this.#exit = new Promise((resolve, reject) => {
      this.#process.once('error', (cause) => reject(new MusicError(`cannot start the ${task.role}`, { cause })))
      this.#process.once('exit', (code, by) => {
        if (code === 0) resolve()
        else reject(new MusicError(`the ${task.role}: ${this.#failure ?? `ended by ${by ?? `exit code ${code}`}`}`))
      })
    })
    // It may fail before anybody waits for its end.
    this.#exit.catch(() => undefined)
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** Resolves when the server is ready, rejects when it never will be. */
  async word(type: 'READY', timeoutMs: number): Promise<Ready> {
    let timer: NodeJS.Timeout | undefined
    const ready = new Promise<Ready>((resolve, reject) => {
      this.#ready = resolve
      const late = (): void => reject(new MusicError(`the ${this.#role} is not ${type} after ${timeoutMs / 1000} s`))
      timer = setTimeout(late, timeoutMs)
    })
    const gone = this.#exit.then(() => {
      throw new MusicError(`the ${this.#role} ended before it was ready`)
    })
    try {
      return await Promise.race([ready, gone])
    } finally {
      clearTimeout(timer)
    }
  }

  say(word: 'END'): void {
    this.#process.send(word)
  }

  /** Resolves when it has ended well; rejects with why it has not. */
  ended(): Promise<void> {
    return this.#exit
  }

  stop(): void {
    this.#process.kill('SIGTERM')
  }

  #heard(word: Word): void {
    if (word.type === 'READY') this.#ready?.(word)
    else if (word.type === 'REPORT') this.onReport?.(word.report)
    else this.#failure = word.message
  }
}
