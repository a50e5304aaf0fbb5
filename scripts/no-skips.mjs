// Fails when a test of the report was skipped: what needs more than Node is there in CI, so a skip hides something.
import { readFileSync } from 'node:fs'

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const skipped = report.testResults.flatMap((file) =>
  file.assertionResults
    .filter(({ status }) => status !== 'passed')
    .map(({ fullName, status }) => `${status}: ${fullName}`),
)
for (const line of skipped) console.error(line)
console.log(
  `${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped.length - report.numFailedTests} skipped`,
)
if (skipped.length > 0 || report.numPassedTests === 0) process.exit(1)
