// Latency against load, where a capacity was looked for: the limit is a line, and the interval of each capacity a band.
import { draw, logAxis, sample, tip } from './charts.js'
import { bdi, byId, el } from './dom.js'
import { facts, look, most } from './facts.js'
import { duration, format } from './number.js'
import { isDark, token } from './theme.js'
import { t } from './words.js'

const perSecond = (v) => format('1/s', v)

export function drawCapacity() {
  if (!facts.capacity) return
  const { metric, limit } = facts.capacity
  const loads = facts.capacity.loads.slice(0, most)
  const asked = loads.map((l) => l.rates.filter((r) => r.value != null))
  const name = t('metric.' + metric)
  byId('loads').replaceChildren(...loads.map((l, n) => el('span', { class: 'chip' }, sample(n), bdi(l.label))))
  draw('load', t('capacity') + ', ' + name + ': ' + loads.map((l) => l.label).join('; '), {
    xAxis: logAxis(t('axis_rate'), true, [...asked.flat().map((r) => r.rate), ...loads.flatMap((l) => [l.low, l.high])], perSecond),
    yAxis: logAxis(name, false, [limit, ...asked.flat().map((r) => r.value)], duration),
    series: [
      across((area, api) => {
        const y = api.coord([0, Math.log10(limit)])[1]
        return { type: 'line', shape: { x1: area.x, x2: area.x + area.width, y1: y, y2: y }, style: { stroke: token('ink'), lineWidth: 1.2, lineDash: [5, 4] } }
      }),
      ...loads.flatMap((l, n) => {
        const { color, dash, symbol } = look(n, isDark())
        const band = across((area, api) => {
          const [x, end] = [l.low, l.high].map((v) => api.coord([Math.log10(v), 0])[0])
          return { type: 'rect', shape: { x, width: end - x, y: area.y, height: area.height }, style: { fill: color, opacity: 0.14 } }
        })
        const line = { type: 'line', name: String(n), symbol, symbolSize: 8, lineStyle: { color, width: 2, type: dash }, itemStyle: { color }, emphasis: { disabled: true },
          data: asked[n].map((r) => ({ value: [Math.log10(r.rate), Math.log10(r.value)], asked: r, itemStyle: r.missed > r.kept ? { color: token('paper'), borderColor: color, borderWidth: 1.8 } : undefined })) }
        return l.high ? [band, line] : [line]
      }),
    ],
    tooltip: { trigger: 'item', formatter: (p) => {
      const r = p.data.asked
      return tip(perSecond(r.rate) + '/s', [[Number(p.seriesName), `${r.at_least ? '≥' : ''}${duration(r.value)} · ${t('kept', r.kept, r.kept + r.missed)}`]], (n) => loads[n].label)
    } },
  })
}

// across is a drawing over the whole of the chart's area.
const across = (shape) => ({ type: 'custom', silent: true, clip: true, z: 1, data: [[0, 0]], renderItem: (params, api) => shape(params.coordSys, api) })
