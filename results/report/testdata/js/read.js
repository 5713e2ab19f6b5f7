// What hdr-histogram-js makes of a run folder and of its export: node read.js RUN LOG
import { readFileSync } from "node:fs";
import hdr from "hdr-histogram-js";

const [, , run, log] = process.argv;

function summary(h) {
  const buckets = [];
  for (let i = 0; i < h.countsArrayLength; i++) {
    if (h.getCountAtIndex(i) > 0) buckets.push([h.valueFromIndex(i), h.getCountAtIndex(i)]);
  }
  const percentiles = [50, 90, 99, 99.9, 99.99].map((p) => h.getValueAtPercentile(p));
  return { count: h.totalCount, max: h.maxValue, mean: h.mean, percentiles, buckets };
}

const trials = {};
for (const line of readFileSync(`${run}/trials.jsonl`, "utf8").split("\n").filter(Boolean)) {
  const t = JSON.parse(line);
  for (const [name, text] of Object.entries(t.histograms ?? {})) {
    trials[`${t.id}/${t.attempt}/${name}`] = summary(hdr.decodeFromCompressedBase64(text));
  }
}

const intervals = [];
const reader = new hdr.HistogramLogReader(readFileSync(log, "utf8"));
for (let h = reader.nextIntervalHistogram(); h; h = reader.nextIntervalHistogram()) {
  intervals.push({ tag: h.tag, start: h.startTimeStampMsec, end: h.endTimeStampMsec, ...summary(h) });
}
console.log(JSON.stringify({ trials, intervals }));
