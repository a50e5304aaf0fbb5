// Fails when a test of the reports was skipped: what needs more than Node is there in CI, so a skip hides something.
import { readFileSync } from 'node:fs'

const reports = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')))
const results = reports.flatMap(({ testResults }) => testResults).flatMap(({ assertionResults }) => assertionResults)
const count = (...wanted) => results.filter(({ status }) => wanted.includes(status)).length
for (const { status, fullName } of results) if (status !== 'passed') console.error(`${status}: ${fullName}`)
const [passed, failed] = [count('passed'), count('failed')]
console.log(`${passed} passed, ${failed} failed, ${results.length - passed - failed} skipped`)
if (passed < results.length || passed === 0) process.exit(1)
