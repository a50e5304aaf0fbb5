/**
 * The program: `npm start`, `npm start -- serve …`, `npm start -- play …`.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { INTERRUPTED, interruptSignal } from './cli/interrupt.ts'
import { HELP, parseCommand } from './cli/options.ts'
import type { Command } from './cli/options.ts'
import { play } from './cli/play.ts'
import { serve } from './cli/serve.ts'
import { ReaderGone } from './cli/sink.ts'
import { explain, UsageError } from './errors.ts'
import { Screen } from './screen.ts'
import { tellStory } from './story/story.ts'

/** The music that comes along; this file runs as build/examples/music/main.js. */
const LIBRARY = fileURLToPath(new URL('../../../examples/music/library', import.meta.url))

const USAGE_ERROR = 2

async function run(command: Command, screen: Screen, signal: AbortSignal): Promise<void> {
  switch (command.command) {
    case 'help':
      process.stdout.write(HELP)
      break
    case 'version':
      process.stdout.write(`${await version()}\n`)
      break
    case 'story':
      await tellStory(command, command.library ?? LIBRARY, screen, signal)
      break
    case 'serve':
      await serve(command, command.library ?? LIBRARY, screen, signal)
      break
    case 'play':
      await play(command, screen, signal)
      break
  }
}

/** The package's. */
async function version(): Promise<string> {
  const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}

async function main(): Promise<number> {
  let screen = new Screen(process.stderr)
  let interrupted: AbortSignal | undefined
  try {
    const command = parseCommand(process.argv.slice(2))
    // With audio on standard output, words go elsewhere.
    if (command.command !== 'play' || !command.stdout) screen = new Screen(process.stdout)
    interrupted = interruptSignal(() => screen.line('Ending; once more to end at once.'))
    await run(command, screen, interrupted)
    return 0
  } catch (error) {
    screen.endProgress()
    if (error instanceof ReaderGone) {
      screen.line('The reader of standard output has ended.')
      return 0
    }
    // What fails now fails because it was told to end.
    if (interrupted?.aborted === true) return INTERRUPTED
    process.stderr.write(`error: ${explain(error)}\n`)
    if (!(error instanceof UsageError)) return 1
    process.stderr.write('npm start -- --help shows what can be asked for.\n')
    return USAGE_ERROR
  }
}

// Whoever reads the text may leave early, as `head` does. What goes wrong with audio, its own write reports.
process.stdout.on('error', () => {})
const code = await main()
// What was said goes out first. After a failure or Ctrl-C there may be audio in a pipe that nobody reads any more.
if (code === 0) process.stdout.write('', () => process.exit(0))
else process.exit(code)
