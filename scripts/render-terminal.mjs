// Runs a command and draws what it printed as a terminal, in SVG: `render-terminal.mjs OUT.svg TITLE -- COMMAND…`.
// The picture in the README comes from here, so it shows what the program really prints.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const separator = process.argv.indexOf('--')
const [out, title] = process.argv.slice(2, separator)
const [command, ...args] = process.argv.slice(separator + 1)
if (separator < 0 || !out || !title || !command) {
  console.error('usage: render-terminal.mjs OUT.svg TITLE -- COMMAND [ARG…]')
  process.exit(2)
}

const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 })
if (status !== 0) {
  console.error(`${command} failed (exit ${status}):\n${stderr}`)
  process.exit(1)
}

const CHARACTER = 8.4
const LINE = 19
const PADDING = 18
const BAR = 34
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const lines = stdout.trimEnd().split('\n')
const width = Math.ceil(Math.max(60, ...lines.map((line) => Array.from(line).length)) * CHARACTER + 2 * PADDING)
const height = lines.length * LINE + BAR + 2 * PADDING

const text = lines
  .map(
    (line, i) => `<text x="${PADDING}" y="${BAR + PADDING + i * LINE + 8}" xml:space="preserve">${escape(line)}</text>`,
  )
  .join('\n')
const buttons = ['#ff5f57', '#febc2e', '#28c840']
  .map((colour, i) => `<circle cx="${PADDING + 6 + i * 20}" cy="${BAR / 2}" r="6" fill="${colour}"/>`)
  .join('')

writeFileSync(
  out,
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">
<rect width="100%" height="100%" rx="8" fill="#16181d"/>
${buttons}
<text x="50%" y="${BAR / 2 + 4}" text-anchor="middle" fill="#8b919c" font-family="system-ui, sans-serif" font-size="12">${escape(title)}</text>
<g fill="#d6dae2" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14">
${text}
</g>
</svg>
`,
)
console.log(`${out}: ${lines.length} lines`)
