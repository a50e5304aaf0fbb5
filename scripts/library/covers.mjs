// The covers: one picture an album, drawn point by point.
import { encodePng } from './png.mjs'

const SIZE = 320

const clamp = (value) => Math.max(0, Math.min(255, Math.floor(value + 0.5)))
const mix = (from, to, part) => from.map((value, index) => value + (to[index] - value) * part)
const distance = (x, y, cx, cy) => Math.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy))

/** How much of a point lies inside an edge `depth` pixels away: 0 to 1, smooth over one pixel. */
const inside = (depth) => Math.max(0, Math.min(1, depth + 0.5))

/** Light that fades with distance: a half at `reach` pixels. */
const glow = (away, reach) => 1 / (1 + (away / reach) * (away / reach))

const draw = (colour) => encodePng({ width: SIZE, height: SIZE, pixel: (x, y) => colour(x, y).map(clamp) })

/** Rings that pass through a wall. */
export const holePunching = () =>
  draw((x, y) => {
    let colour = mix([18, 24, 56], [52, 30, 92], y / SIZE)
    for (let ring = 0; ring < 7; ring++) {
      const depth = 3.2 - Math.abs(distance(x, y, 92, 160) - 22 - ring * 34)
      colour = mix(colour, [255, 150 + ring * 12, 70 + ring * 22], inside(depth) * (1 - ring / 9))
    }
    const wall = Math.min(x - 196, 222 - x)
    const hole = 26 - distance(x, y, 209, 160)
    return mix(colour, [10, 12, 28], inside(wall) * (1 - inside(hole)))
  })

/** A straight road to a low sun. */
export const directPath = () =>
  draw((x, y) => {
    const horizon = 176
    if (y < horizon) {
      const sky = mix([24, 74, 120], [250, 186, 120], (y / horizon) * (y / horizon))
      const sun = distance(x, y, 160, 168)
      return mix(mix(sky, [255, 226, 160], glow(sun, 90)), [255, 240, 200], inside(58 - sun))
    }
    const nearness = (y - horizon) / (SIZE - horizon)
    const ground = mix([60, 84, 60], [22, 46, 40], nearness)
    const road = mix(ground, [44, 44, 54], inside(8 + nearness * 120 - Math.abs(x - 160)))
    const dash = Math.floor(6 / (nearness + 0.06)) % 2 === 0 ? inside(1 + nearness * 7 - Math.abs(x - 160)) : 0
    return mix(road, [240, 220, 150], dash)
  })

/** Hills, one behind the other, and a moon. */
export const longWayHome = () =>
  draw((x, y) => {
    let colour = mix([236, 226, 208], [244, 200, 168], y / SIZE)
    const moon = distance(x, y, 232, 84)
    colour = mix(mix(colour, [255, 240, 214], glow(moon, 60)), [252, 246, 232], inside(34 - moon))
    for (let hill = 0; hill < 5; hill++) {
      const centre = (hill * 137 + 60) % SIZE
      const width = 150 - hill * 12
      const away = (x - centre) / width
      const other = (x - ((centre + 170) % SIZE)) / (width * 0.8)
      const top = 172 + hill * 30 - 46 / (1 + away * away) - 30 / (1 + other * other)
      colour = mix(colour, mix([178, 148, 150], [46, 44, 74], hill / 4), inside(y - top))
    }
    return colour
  })
