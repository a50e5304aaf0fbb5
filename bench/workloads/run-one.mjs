// Runs one workload once, in this process, and prints what it came to as JSON: `run-one.mjs MODULE NAME ARGUMENTS`.
const [module, name, args] = process.argv.slice(2)
const workloads = await import(new URL(`./${module}.mjs`, import.meta.url))
const before = process.cpuUsage()
const result = await workloads[name](JSON.parse(args))
const { user, system } = process.cpuUsage(before)
const peakBytes = process.resourceUsage().maxRSS * 1024
console.log(JSON.stringify({ ...result, cpuMs: (user + system) / 1000, peakBytes }))
