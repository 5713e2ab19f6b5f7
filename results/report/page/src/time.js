// A trial slice by slice, and every trial of the chosen cells in order of blocks.
import { axis, draw, logAxis, showChosen, tip } from './charts.js'
import { byId, selectOf, simpleTable } from './dom.js'
import { chosenCells, facts, look, metricIndex, metricName } from './facts.js'
import { duration, format } from './number.js'
import { isDark } from './theme.js'
import { t } from './words.js'

const sliced = ['throughput', 'p50', 'p99']
let metric = 'p50'

// startTime fills the choice of metrics.
export function startTime() {
  const names = facts.compared.map((i) => facts.metrics[i].name)
  if (!names.includes(metric)) metric = names[0]
  const fill = byId('time-metric').parentElement
  const made = selectOf('', facts.compared.map((i) => [facts.metrics[i].name, metricName(i)]), metric, (v) => { metric = v; drawTime() })
  const select = made.querySelector('select')
  select.id = 'time-metric'
  fill.querySelector('select').replaceWith(select)
}

// scaleOf is an axis for values: logarithmic for times, from 0 for rates.
function scaleOf(name, values, unit) {
  if (unit === 'ns') return { axis: logAxis(name, false, values, duration), at: (v) => Math.log10(Math.max(v, 1)) }
  return { axis: axis(name, false, { min: 0, axisLabel: { formatter: (v) => format(unit, v) } }), at: (v) => v }
}

export function drawTime() {
  showChosen('chosen-time')
  const i = metricIndex(metric)
  if (i < 0) return
  const { unit } = facts.metrics[i]
  const cells = chosenCells().map((c) => facts.cells[c])
  drawWithin(cells, i, unit)
  drawAcross(cells, i, unit)
  byId('time-data').querySelector('div').replaceChildren(table(cells, i, unit))
}

function drawWithin(cells, i, unit) {
  const k = sliced.indexOf(metric)
  byId('within').parentElement.hidden = k < 0
  if (k < 0) return
  const spans = cells.map((c) => (c.slices[k] || []).map((s, j) => ({ at: (j + 0.5) * c.slice_ns, s })).filter((p) => p.s[1] >= 0))
  const scale = scaleOf(metricName(i), spans.flat().flatMap((p) => p.s), unit)
  const series = spans.flatMap((points, n) => {
    const { color, dash, symbol } = look(n, isDark())
    const rows = points.map((p) => [p.at / 1e6, scale.at(p.s[1]), scale.at(p.s[0]), scale.at(p.s[2])])
    return [
      { type: 'custom', silent: true, data: rows.length ? [[0, 0]] : [], renderItem: (_, api) => ({
        type: 'polygon',
        shape: { points: [...rows.map((r) => api.coord([r[0], r[3]])), ...rows.map((r) => api.coord([r[0], r[2]])).reverse()] },
        style: { fill: color, opacity: 0.14 },
      }), clip: true },
      { type: 'line', name: String(n), data: rows.map((r) => [r[0], r[1]]), symbol, symbolSize: 6, showSymbol: rows.length <= 30, lineStyle: { color, width: 2, type: dash }, itemStyle: { color }, emphasis: { disabled: true } },
    ]
  })
  const end = Math.max(1, ...cells.map((c) => (c.slice_ns || 0) * (c.slices[0] || []).length)) / 1e6
  draw('within', t('within') + ', ' + metricName(i) + ': ' + cells.map((c) => c.label).join('; '), {
    xAxis: axis(t('axis_time'), true, { min: 0, max: end, axisLabel: { formatter: (v) => (v >= 1e4 ? v / 1e3 + 's' : v + 'ms') } }),
    yAxis: scale.axis,
    series,
    tooltip: { trigger: 'axis', formatter: (p) => {
      const at = p[0].axisValue * 1e6
      return tip(duration(at), spans.map((points, n) => [n, points.find((q) => Math.abs(q.at - at) < 1e3)]).filter(([, q]) => q)
        .map(([n, q]) => [n, `${format(unit, q.s[1])} (${format(unit, q.s[0])} – ${format(unit, q.s[2])})`]))
    } },
  })
}

function drawAcross(cells, i, unit) {
  const k = facts.compared.indexOf(i)
  const points = cells.map((c) => c.trials.filter((r) => r.values[k] != null).map((r) => [r.block, r.values[k], r.doubt]))
  const scale = scaleOf(metricName(i), points.flat().map((p) => p[1]), unit)
  const blocks = points.flat().map((p) => p[0])
  const most = Math.max(1, ...blocks)
  const beside = (n) => (cells.length > 1 ? (n - (cells.length - 1) / 2) * Math.min(0.09, 0.7 / cells.length) : 0)
  draw('across', t('across') + ', ' + metricName(i) + ': ' + cells.map((c) => c.label).join('; '), {
    xAxis: axis(t('axis_block'), true, { min: Math.min(1, ...blocks) - 0.5, max: most + 0.5, minInterval: 1, interval: most > 16 ? undefined : 1, axisLabel: { customValues: most > 16 ? undefined : [...new Set(blocks)] }, splitLine: { show: false } }),
    yAxis: scale.axis,
    series: points.map((p, n) => {
      const { color, symbol } = look(n, isDark())
      return { type: 'scatter', name: String(n), symbol, symbolSize: 9, itemStyle: { color, opacity: 0.9 }, emphasis: { disabled: true },
        data: p.map((r) => ({ value: [r[0] + beside(n), scale.at(r[1])], trial: r, itemStyle: r[2] === 'warn' || r[2] === 'fail' ? { color: 'transparent', borderColor: color, borderWidth: 1.8 } : undefined })) }
    }),
    tooltip: { trigger: 'item', formatter: (p) => tip(`${t('axis_block')} ${p.data.trial[0]}`, [[Number(p.seriesName), format(unit, p.data.trial[1]) + (p.data.trial[2] ? ' · ' + t(p.data.trial[2]) : '')]]) },
  })
}

// table is every trial in numbers.
function table(cells, i, unit) {
  const k = facts.compared.indexOf(i)
  const blocks = [...new Set(cells.flatMap((c) => c.trials.map((r) => r.block)))].sort((a, b) => a - b)
  return simpleTable([metricName(i), ...blocks.map((b) => `${t('axis_block')} ${b}`)],
    cells.map((c) => [c.label, ...blocks.map((b) => format(unit, c.trials.find((r) => r.block === b)?.values[k]))]))
}
