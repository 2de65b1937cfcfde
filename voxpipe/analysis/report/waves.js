// The waveforms: pyramids of peak and RMS, a byte each, and how a span of time is read from them.
function unpack(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let index = 0; index < raw.length; index += 1) bytes[index] = raw.charCodeAt(index);
  return bytes;
}

for (const call of CALLS) {
  for (const wave of Object.values(call.waves)) wave.pyramid = wave.pyramid.map(unpack);
}

// Draw one side, mirrored at the middle of its lane: peaks pale, RMS full. The view is in the call's own time, and may
// begin before it.
function drawWave(context, wave, box, colour, view) {
  if (!wave.pyramid.length) return;
  const nsPerPixel = (view.to - view.from) / box.width;
  let level = 0, binNs = wave.bin_ms * NS_PER_MS;
  while (level + 1 < wave.pyramid.length && binNs * wave.factor <= nsPerPixel) {
    level += 1;
    binNs *= wave.factor;
  }
  const bins = wave.pyramid[level], count = bins.length / 2, middle = box.top + box.height / 2;
  const half = box.height / 2, step = Math.max(1, Math.ceil(binNs / nsPerPixel));
  const peaks = new Path2D(), bodies = new Path2D();
  // Columns begin at whole bins when bins are wider than pixels, so that nothing shimmers while it moves.
  const origin = step > 1 ? (Math.floor(view.from / binNs) * binNs - view.from) / nsPerPixel : 0;
  const wide = step > 1 ? binNs / nsPerPixel : 1;
  for (let x = origin; x < box.width; x += wide) {
    const begin = Math.floor((view.from + (x + 1e-6) * nsPerPixel) / binNs);
    const end = Math.min(count, Math.max(begin + 1, Math.ceil((view.from + (x + wide - 1e-6) * nsPerPixel) / binNs)));
    let peak = 0, body = 0;
    for (let bin = Math.max(0, begin); bin < end; bin += 1) {
      peak = Math.max(peak, bins[2 * bin]);
      body = Math.max(body, bins[2 * bin + 1]);
    }
    if (!peak) continue;
    const high = Math.max(0.5, (peak / 255) * half), low = Math.max(0.5, (body / 255) * half);
    peaks.rect(box.left + x, middle - high, wide, 2 * high);
    bodies.rect(box.left + x, middle - low, wide, 2 * low);
  }
  context.fillStyle = colour;
  context.globalAlpha = 0.32;
  context.fill(peaks);
  context.globalAlpha = 0.9;
  context.fill(bodies);
  context.globalAlpha = 1;
}
