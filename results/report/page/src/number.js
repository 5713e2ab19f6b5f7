// Numbers as the terminal shows them: three significant digits.
const digits = (v) => v.toFixed(v < 9.995 ? 2 : v < 99.95 ? 1 : 0)

function scaled(v, steps) {
  for (const [factor, suffix] of steps) {
    if (v / factor >= 0.9995) return digits(v / factor) + suffix
  }
  const [factor, suffix] = steps[steps.length - 1]
  return digits(v / factor) + suffix
}

const sizes = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']]

function number(v) {
  return v < 999.5 && v === Math.trunc(v) ? String(v) : scaled(v, sizes)
}

export function duration(v) {
  if (v === 0) return '0'
  return v < 999.5 && v === Math.trunc(v) ? v + 'ns' : scaled(v, [[1e9, 's'], [1e6, 'ms'], [1e3, 'us'], [1, 'ns']])
}

export function percent(v) {
  return v === 0 ? '0%' : v < 0.00005 ? '<0.01%' : digits(v * 100) + '%'
}

// format writes a value of a metric's unit.
export function format(unit, v) {
  if (v == null) return '–'
  if (v < 0) return '-' + format(unit, -v)
  return unit === 'ns' ? duration(v) : unit === 'share' ? percent(v) : number(v) + (unit === 'B/s' ? 'B/s' : '')
}

// short leaves out trailing zeros, for axes: 1ms, 1.5ms.
export const short = (text) => text.replace(/(\.\d*?)0+(?=\D|$)/, '$1').replace(/\.(?=\D|$)/, '')

// nines is a quantile in words: 50%, 99.9%, 99.99%; between them with a digit more than the nines it has.
export function nines(q) {
  const places = Math.max(1, Math.ceil(-Math.log10(1 - q) - 1e-9) - 1)
  return (100 * q).toFixed(places).replace(/\.?0+$/, (end) => (end.startsWith('.') ? '' : end)).replace(/(\.\d*?)0+$/, '$1') + '%'
}

export const median = (values) => {
  const v = [...values].sort((a, b) => a - b)
  return v.length ? (v[(v.length - 1) >> 1] + v[v.length >> 1]) / 2 : null
}
