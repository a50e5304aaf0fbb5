/**
 * A worker of a sweep: loads the scenario and runs the seeds it is told.
 *
 * @module
 */
import { pathToFileURL } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { ambientScope } from '../runtime/ambient/scope.ts'
import { findScenario, loadScenarios } from './module.ts'
import type { FromWorker, ToWorker, WorkerStart, WorkerTask } from './pool.ts'
import { register, seedsOfScenario } from './registering.ts'
import type { RunSeed, Seeds } from './registering.ts'
import { groupsEntered, hooksUsed } from './runner-stubs.ts'
import { replaceNodeTest } from './node-test-hooks.ts'
import { resolveOptions, scenario } from './scenario.ts'
import { importLikeVitest } from './vitest-worker.ts'

const { task, known, isAmbient, look } = workerData as WorkerStart

function say(message: FromWorker): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(message)
}

/** Answers that are waited for, by number. */
const fetching = new Map<number, (answer: { readonly result?: unknown; readonly error?: string }) => void>()
let fetches = 0

function fetchFromParent(args: readonly unknown[]): Promise<{ readonly result?: unknown; readonly error?: string }> {
  const fetch = ++fetches
  say({ fetch, args })
  return new Promise((resolve) => fetching.set(fetch, resolve))
}

async function fromModule({ module, name, options }: Extract<WorkerTask, { kind: 'module' }>): Promise<Seeds> {
  const found = findScenario(await loadScenarios(module), name, module)
  const what = scenario(found.name, { ...found.options, ...options }, found.body)
  return seedsOfScenario(what, resolveOptions(what.options, process.env))
}

async function fromFile(file: Extract<WorkerTask, { kind: 'file' }>): Promise<Seeds> {
  const { module, name, nth, vitest, isScript } = file
  let found: Seeds | undefined
  let seen = 0
  const offered = new Promise<void>((resolve) => {
    register({
      offer: (other, seeds) => {
        if (other !== name || seen++ !== nth) return false
        found = seeds
        resolve()
        return isScript
      },
    })
  })
  if (vitest) {
    await importLikeVitest(module, vitest, fetchFromParent)
  } else {
    replaceNodeTest()
    const loading = import(pathToFileURL(module).href).then(groupsEntered)
    await (isScript ? Promise.race([offered, loading]) : loading)
  }
  const hooks = hooksUsed()
  if (hooks.length > 0) {
    throw new Error(`the file prepares its tests with ${hooks.join(' and ')}, which only the test runner calls`)
  }
  if (found) return found
  throw new Error('the file does not get to this simTest when it is loaded, as one inside of another test is not')
}

/** That seeds have the same histories here as where the test is. */
async function compare(run: RunSeed): Promise<void> {
  if (ambientScope().isInstalled !== isAmbient) {
    throw new Error(`the globals of hosts are${isAmbient ? ' not' : ''} installed in a worker, unlike here`)
  }
  if (!known) return
  const { hash, failure } = await run(BigInt(known.seed))
  if (hash === known.hash) return
  const how = failure ? `; there it fails: ${failure.message}` : ''
  throw new Error(`seed ${known.seed} has another history in a worker than here${how}`)
}

async function work(): Promise<void> {
  let queue: Promise<void> = Promise.resolve()
  let loaded: (run: RunSeed) => void = () => {}
  const loading = new Promise<RunSeed>((resolve) => {
    loaded = resolve
  })
  parentPort?.on('message', (message: ToWorker) => {
    if ('fetched' in message) {
      fetching.get(message.fetched)?.(message)
      fetching.delete(message.fetched)
      return
    }
    queue = queue.then(async () => {
      const run = await loading
      for (const seed of message.seeds) {
        const { failure, reached, events, virtualMs, hash } = await run(BigInt(seed))
        say({ seed, failure, reached: [...reached], events, virtualMs, hash })
      }
    })
  })
  const { run, look: lookAt } = await (task.kind === 'module' ? fromModule(task) : fromFile(task))
  if (look) {
    const { seed, folder, commands, commandsWithoutFile } = look
    const which = (_seed: bigint, path: string | undefined): typeof commands =>
      path === undefined ? commandsWithoutFile : commands
    return say({ looked: await lookAt(BigInt(seed), { folder, commands: which }) })
  }
  await compare(run)
  loaded(run)
  say({ ready: true })
}

work().catch((error: unknown) => say({ unfit: error instanceof Error ? error.message : String(error) }))
