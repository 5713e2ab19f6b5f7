// What the charts share: ECharts, of which only these parts are taken, axes, tooltips that are elements and not HTML.
import { CustomChart, LineChart, ScatterChart } from 'echarts/charts'
import { GridComponent, TooltipComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { bdi, byId, el, svg } from './dom.js'
import { choose, chosenCells, facts, look, most } from './facts.js'
import { short } from './number.js'
import { isDark, isPrinting, token } from './theme.js'
import { t } from './words.js'

use([CustomChart, GridComponent, LineChart, SVGRenderer, ScatterChart, TooltipComponent])

// ECharts measures text itself and needs a font by name.
const font = '"Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'
const charts = new Map()

// fit gives a chart the size of its place, which on paper is not known before it is printed.
const fit = (id) => charts.get(id).resize(isPrinting() ? { width: 640, height: 320 } : { width: 'auto', height: 'auto' })

// draw shows a chart; says is what it shows, for those who do not see it.
export function draw(id, says, option) {
  const box = byId(id)
  if (!charts.has(id)) {
    charts.set(id, init(box, null, { renderer: 'svg' }))
    new ResizeObserver(() => fit(id)).observe(box)
  }
  fit(id)
  box.setAttribute('role', 'img')
  box.setAttribute('aria-label', says)
  charts.get(id).setOption({
    animation: false,
    textStyle: { fontFamily: font, color: token('ink') },
    grid: { left: 8, right: 18, top: 26, bottom: 30, containLabel: true },
    ...option,
    tooltip: { backgroundColor: token('paper'), borderColor: token('line'), borderWidth: 1, padding: [7, 10], confine: true, transitionDuration: 0, extraCssText: 'box-shadow: 0 2px 10px rgba(0,0,0,.12)', ...option.tooltip },
  }, true)
}

// axis is a quiet one, with a name.
export function axis(name, horizontal, more = {}) {
  const quiet = { color: token('quiet'), fontSize: 12 }
  return {
    type: 'value',
    name,
    nameLocation: horizontal ? 'middle' : 'end',
    nameGap: horizontal ? 30 : 10,
    nameTextStyle: { ...quiet, align: horizontal ? 'center' : 'left', padding: horizontal ? 0 : [0, 0, 0, -34] },
    axisLine: { show: horizontal, lineStyle: { color: token('line') } },
    splitLine: { lineStyle: { color: token('line'), width: 0.7 } },
    ...more,
    axisTick: { show: false, ...more.axisTick },
    axisLabel: { ...quiet, hideOverlap: true, ...more.axisLabel },
    axisPointer: { lineStyle: { color: token('quiet') }, label: { show: false } },
  }
}

// logAxis is for positive values, which enter as their logarithms: its ticks are 1, 2 and 5 times powers of ten, or
// powers alone where there are many.
export function logAxis(name, horizontal, values, write) {
  const positive = values.filter((v) => v > 0)
  if (!positive.length) return axis(name, horizontal)
  const low = Math.log10(positive.reduce((a, b) => Math.min(a, b)))
  const high = Math.log10(positive.reduce((a, b) => Math.max(a, b)))
  const pad = Math.max(0.04 * (high - low), 0.02)
  const [from, to] = [low - pad, high + pad]
  const steps = to - from > 4 ? [1] : to - from > 0.5 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]
  const ticks = []
  for (let e = Math.floor(from); e <= to; e++) {
    for (const s of steps) {
      const at = e + Math.log10(s)
      if (at >= from && at <= to) ticks.push(at)
    }
  }
  return axis(name, horizontal, {
    min: from,
    max: to,
    axisTick: { customValues: ticks },
    axisLabel: { customValues: ticks, formatter: (v) => short(write(Math.pow(10, v) * (1 + 1e-12))) },
    splitLine: { customValues: ticks, lineStyle: { color: token('line'), width: 0.7 } },
  })
}

// sample shows how a cell is drawn.
export function sample(n) {
  const { color, dash, symbol } = look(n, isDark())
  const line = svg('line', { x1: 0, x2: 26, y1: 6, y2: 6, stroke: color, 'stroke-width': 2, 'stroke-dasharray': dash === 'solid' ? 'none' : dash.join(' ') })
  const marks = {
    circle: () => svg('circle', { cx: 13, cy: 6, r: 4, fill: color }),
    rect: () => svg('rect', { x: 9, y: 2, width: 8, height: 8, fill: color }),
    triangle: () => svg('path', { d: 'M13 1 18 10 8 10Z', fill: color }),
    diamond: () => svg('path', { d: 'M13 1 18 6 13 11 8 6Z', fill: color }),
  }
  return svg('svg', { width: 26, height: 12, 'aria-hidden': 'true' }, line, marks[symbol]())
}

// tip is a tooltip: a heading, and a line for each of [number, text]; the number is that of a cell among the chosen, unless
// label names others.
export function tip(heading, lines, label = (n) => facts.cells[chosenCells()[n]].label) {
  return el('div', { class: 'tip' }, el('b', {}, heading), el('table', {}, ...lines.map(([n, text]) =>
    el('tr', {}, el('td', {}, sample(n)), el('td', {}, bdi(label(n))), el('td', { class: 'n' }, text)))))
}

// showChosen lists the chosen cells, each with a button that takes it out of the charts.
export function showChosen(id) {
  const cells = chosenCells()
  byId(id).replaceChildren(
    el('span', { class: 'quiet' }, t('chosen') + (cells.length ? '' : ' – ' + t('chosen_none'))),
    ...cells.map((i, n) => el('span', { class: 'chip' }, sample(n), bdi(facts.cells[i].label || facts.cells[i].label),
      facts.cells[i].doubt && facts.cells[i].doubt !== 'note' ? el('span', { class: 'mark ' + facts.cells[i].doubt }, t(facts.cells[i].doubt)) : null,
      el('button', { type: 'button', 'aria-label': t('remove') + ': ' + facts.cells[i].label, onclick: () => choose(cells.filter((c) => c !== i)) }, '×'))),
    el('span', { class: 'quiet' }, t('chosen_most', most)))
}
