/**
 * Dates of HTTP (RFC 9110, 5.6.7), by arithmetic alone: no clock is read here.
 *
 * @module
 */
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const
const DAY_SECONDS = 86_400
/** Days of 400 years, after which the Gregorian calendar repeats, and from 0000-03-01 to 1970-01-01. */
const ERA_DAYS = 146_097
const EPOCH_DAYS = 719_468

/** Days since 1970-01-01 of a date; `month` is 1..12. After Hinnant, "chrono-compatible low-level date algorithms". */
function daysFromDate(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * ERA_DAYS + dayOfEra - EPOCH_DAYS
}

function dateFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + EPOCH_DAYS
  const era = Math.floor(shifted / ERA_DAYS)
  const dayOfEra = shifted - era * ERA_DAYS
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day }
}

function pad(value: number, length = 2): string {
  return String(value).padStart(length, '0')
}

/** Unix milliseconds as `Sun, 06 Nov 1994 08:49:37 GMT`, rounded down to a second. Years 0 to 9999. */
export function formatHttpDate(unixMs: number): string {
  const seconds = Math.floor(unixMs / 1000)
  const days = Math.floor(seconds / DAY_SECONDS)
  const time = seconds - days * DAY_SECONDS
  const { year, month, day } = dateFromDays(days)
  const weekday = DAYS[(((days + 4) % 7) + 7) % 7]
  const clock = `${pad(Math.floor(time / 3600))}:${pad(Math.floor(time / 60) % 60)}:${pad(time % 60)}`
  return `${weekday}, ${pad(day)} ${MONTHS[month - 1]} ${pad(year, 4)} ${clock} GMT`
}

const IMF_FIXDATE = /^(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat), (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/

/** The Unix milliseconds of an IMF-fixdate, the one form that is still sent; undefined for anything else. */
export function parseHttpDate(text: string): number | undefined {
  const match = IMF_FIXDATE.exec(text)
  if (!match) return undefined
  const [day, year, hours, minutes, seconds] = [match[1], match[3], match[4], match[5], match[6]].map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ]
  const month = MONTHS.indexOf(match[2] as (typeof MONTHS)[number]) + 1
  if (month === 0 || day < 1 || day > 31 || hours > 23 || minutes > 59 || seconds > 60) return undefined
  return (daysFromDate(year, month, day) * DAY_SECONDS + hours * 3600 + minutes * 60 + seconds) * 1000
}
