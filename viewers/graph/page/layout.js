'use strict';
// The layered layout of layout.py, for what is visible at the moment. A box is {w, h, parent, group,
// title, top, pad}; boxes stand in program order, groups before what is in them. An edge is {a, b,
// outAt, inAt, kind}. Returns {rects, routes, w, h}; a route is null where a line would be too long.
const place = (() => {
  const REACH = 40, GAP_X = 24, GAP_Y = 30, LINE = 8, SWEEPS = 4, IN = -1, OUT = -2;
  const REAL = 0, PORT = 1, DUMMY = 2;
  const PASSES = [[1, 0], [0, 0], [1, 0], [0, 0], [1, 1], [0, 1], [1, 0]];
  const PULL = [[20, 20, 0.02], [20, 20, 0.02], [0.02, 0.02, 8]];

  function legs(boxes, edge) {
    const path = i => { const p = [i]; while (i >= 0) p.push(i = boxes[i].parent); return p; };
    const up = path(edge.a), down = path(edge.b);
    while (up.length > 1 && down.length > 1 && up.at(-2) === down.at(-2)) { up.pop(); down.pop(); }
    const found = [];
    for (let i = 0; i < up.length - 2; i++) found.push([up[i + 1], up[i], OUT]);
    found.push([up.at(-1), up.at(-2), down.at(-2)]);
    for (let i = down.length - 3; i >= 0; i--) found.push([down[i + 1], IN, down[i]]);
    return found;
  }

  function layout(boxes, edges) {
    const locals = new Map([[-1, newLocal()]]);
    boxes.forEach((box, i) => {
      if (box.group) locals.set(i, newLocal());
      locals.get(box.parent).children.push(i);
    });
    for (const edge of edges) {
      edge.legs = legs(boxes, edge);
      edge.bundle = edge.a * 2 + edge.kind;
      for (const [group, a, b] of edge.legs) {
        const local = locals.get(group), key = `${edge.bundle},${a},${b}`;
        if (local.edges.has(key)) continue;
        local.edges.set(key, {
          key, bundle: edge.bundle, a, b,
          outAt: a === edge.a ? edge.outAt : null, inAt: b === edge.b ? edge.inAt : null,
        });
        if (a === IN) local.entries.add(edge.bundle);
        if (b === OUT) local.exits.add(edge.bundle);
      }
    }
    const inner = new Map();
    for (const group of [...locals.keys()].sort((a, b) => b - a)) {
      const made = solve(group, locals.get(group), boxes, inner);
      inner.set(group, made);
      if (group >= 0) { boxes[group].w = made.w; boxes[group].h = made.h; }
    }
    const rects = boxes.map(() => null), origin = i => (i < 0 ? { x: 0, y: 0 } : rects[i]);
    boxes.forEach((box, i) => {
      const o = origin(box.parent), [x, y] = inner.get(box.parent).at.get(i);
      rects[i] = { x: o.x + x, y: o.y + y, w: box.w, h: box.h };
    });
    const routes = edges.map(edge => {
      const points = [];
      for (const [group, a, b] of edge.legs) {
        const piece = inner.get(group).pieces.get(`${edge.bundle},${a},${b}`);
        if (!piece) return null;
        const o = origin(group);
        for (const [x, y] of piece) points.push([o.x + x, o.y + y]);
      }
      return points;
    });
    const whole = inner.get(-1);
    return { rects, routes, w: whole.w, h: whole.h };
  }

  const newLocal = () => ({ children: [], edges: new Map(), entries: new Set(), exits: new Set() });

  function solve(group, local, boxes, inner) {
    const g = { w: [], h: [], rank: [], order: [], kind: [], above: [], below: [] };
    const add = (w, h, rank, order, kind) => {
      g.w.push(w); g.h.push(h); g.rank.push(rank); g.order.push(order); g.kind.push(kind);
      g.above.push([]); g.below.push([]);
      return g.w.length - 1;
    };
    const element = new Map();
    for (const child of local.children)
      element.set(child, add(boxes[child].w, boxes[child].h, 0, child, REAL));
    rankAll(g, local, element);
    const bottom = g.rank.reduce((a, b) => Math.max(a, b), 0);
    const entries = new Map(), exits = new Map();
    for (const k of local.entries) entries.set(k, add(LINE, 0, 0, k >> 1, PORT));
    for (const k of local.exits) exits.set(k, add(LINE, 0, bottom + 1, k >> 1, PORT));
    const chains = lines(g, add, local, boxes, inner, element, entries, exits);
    const layers = Array.from({ length: g.rank.reduce((a, b) => Math.max(a, b), 0) + 1 }, () => []);
    g.rank.forEach((rank, i) => layers[rank].push(i));
    for (const layer of layers) layer.sort((a, b) => g.order[a] - g.order[b]);
    uncross(g, layers);
    const x = straighten(g, layers);
    const [tops, bottoms] = rows(g, layers, x);
    return finish(group, boxes, g, x, tops, bottoms, entries, exits, chains, element);
  }

  function rankAll(g, local, element) {
    const rank = g.rank, feeds = rank.map(() => []), fed = rank.map(() => false), pairs = [];
    let low = 0;
    for (const { a, b } of local.edges.values()) {
      if (a === IN) { low = 1; if (b >= 0) fed[element.get(b)] = true; }
      else if (b >= 0) { pairs.push([element.get(a), element.get(b)]); fed[element.get(b)] = true; }
    }
    for (const [a, b] of pairs) feeds[a].push(b);
    for (let i = 0; i < rank.length; i++) {
      rank[i] = Math.max(rank[i], low);
      for (const j of feeds[i]) rank[j] = Math.max(rank[j], rank[i] + 1);
    }
    for (let i = 0; i < rank.length; i++)
      if (!fed[i] && feeds[i].length) rank[i] = Math.min(...feeds[i].map(j => rank[j])) - 1;
  }

  function attachment(at, box, bundle, boxes, inner, up) {
    if (boxes[box].group) at = (up ? inner.get(box).entries : inner.get(box).exits).get(bundle);
    return at == null ? 0 : at - boxes[box].w / 2;
  }

  function lines(g, add, local, boxes, inner, element, entries, exits) {
    const chains = new Map(), dummies = new Map(), seen = new Set();
    for (const { key, bundle, a, b, outAt, inAt } of local.edges.values()) {
      const first = a === IN ? entries.get(bundle) : element.get(a);
      const last = b === OUT ? exits.get(bundle) : element.get(b);
      const start = a === IN ? 0 : attachment(outAt, a, bundle, boxes, inner, false);
      const end = b === OUT ? 0 : attachment(inAt, b, bundle, boxes, inner, true);
      const r0 = g.rank[first], r1 = g.rank[last];
      if (r1 - r0 > REACH || r1 <= r0) { chains.set(key, null); continue; }
      const chain = [[first, start]];
      for (let r = r0 + 1; r < r1; r++) {
        const name = `${bundle},${a},${r}`;
        if (!dummies.has(name)) dummies.set(name, add(LINE, 0, r, g.order[first] + 0.5, DUMMY));
        chain.push([dummies.get(name), 0]);
      }
      chain.push([last, end]);
      for (let i = 1; i < chain.length; i++) {
        const [u, p] = chain[i - 1], [v, q] = chain[i], link = `${u},${v},${p},${q}`;
        if (seen.has(link)) continue;
        seen.add(link);
        g.below[u].push([v, p, q]);
        g.above[v].push([u, q, p]);
      }
      chains.set(key, { chain, a, b });
    }
    return chains;
  }

  function uncross(g, layers) {
    const wide = layers.filter(layer => layer.length > 1);
    if (!wide.length) return;
    const spot = g.rank.map(() => 0);
    const settle = layer => layer.forEach((e, i) => { spot[e] = i; });
    layers.forEach(settle);
    let best = wide.map(layer => layer.slice()), fewest = crossings(g, layers, spot);
    for (let sweep = 0; sweep < SWEEPS && fewest; sweep++) {
      const down = sweep % 2 === 0, near = down ? g.above : g.below;
      for (const layer of down ? wide : wide.slice().reverse()) {
        const centre = new Map(layer.map((e, i) => [e, near[e].length
          ? near[e].reduce((sum, [n, , p]) => sum + spot[n] + p / (g.w[n] + 1), 0) / near[e].length
          : i]));
        layer.sort((a, b) => centre.get(a) - centre.get(b));
        settle(layer);
      }
      const now = crossings(g, layers, spot);
      if (now < fewest) { fewest = now; best = wide.map(layer => layer.slice()); }
    }
    wide.forEach((layer, i) => layer.splice(0, layer.length, ...best[i]));
  }

  function crossings(g, layers, spot) {
    let total = 0;
    for (const layer of layers) {
      const found = [];
      for (const e of layer)
        for (const [n, own, its] of g.above[e])
          found.push([spot[e] + own / (g.w[e] + 1), spot[n] + its / (g.w[n] + 1)]);
      found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      const starts = [];
      for (const [, start] of found) {
        let low = 0, high = starts.length;
        while (low < high) {
          const mid = (low + high) >> 1;
          if (starts[mid] <= start) low = mid + 1; else high = mid;
        }
        total += starts.length - low;
        starts.splice(low, 0, start);
      }
    }
    return total;
  }

  function straighten(g, layers) {
    const x = g.w.map(() => 0);
    for (const layer of layers) {
      let at = -(layer.reduce((sum, e) => sum + g.w[e] + GAP_X, -GAP_X)) / 2;
      for (const e of layer) { x[e] = at + g.w[e] / 2; at += g.w[e] + GAP_X; }
    }
    const pulls = near => near.map((list, e) => {
      const ends = list.map(([n, own, its]) => [n, its - own, PULL[g.kind[e]][g.kind[n]]]);
      return { ends, weight: ends.reduce((sum, end) => sum + end[2], 0) };
    });
    const up = pulls(g.above), down = pulls(g.below);
    const all = up.map((a, i) => (
      { ends: a.ends.concat(down[i].ends), weight: a.weight + down[i].weight }));
    const offsets = layers.map(layer => {
      const found = [0];
      for (let i = 1; i < layer.length; i++) {
        const gap = g.kind[layer[i]] && g.kind[layer[i - 1]] ? LINE : GAP_X;
        found.push(found[i - 1] + (g.w[layer[i - 1]] + g.w[layer[i]]) / 2 + gap);
      }
      return found;
    });
    for (const [downwards, both] of PASSES) {
      const chosen = both ? all : downwards ? up : down;
      for (let i = 0; i < layers.length; i++) {
        const r = downwards ? i : layers.length - 1 - i;
        fit(layers[r], offsets[r], chosen, x);
      }
    }
    return x;
  }

  // Least squares by pooling adjacent violators.
  function fit(layer, offsets, pulls, x) {
    const pools = [];
    layer.forEach((e, i) => {
      const { ends, weight } = pulls[e];
      let pool = weight
        ? [ends.reduce((sum, [n, by, w]) => sum + w * (x[n] + by), 0) / weight - offsets[i], weight, 1]
        : [x[e] - offsets[i], 0.001, 1];
      while (pools.length && pools.at(-1)[0] > pool[0]) {
        const other = pools.pop(), sum = other[1] + pool[1];
        pool = [(other[0] * other[1] + pool[0] * pool[1]) / sum, sum, other[2] + pool[2]];
      }
      pools.push(pool);
    });
    let i = 0;
    for (const [mean, , count] of pools)
      for (let k = 0; k < count; k++, i++) x[layer[i]] = mean + offsets[i];
  }

  function rows(g, layers, x) {
    const tops = [], bottoms = [];
    let y = 0;
    layers.forEach((layer, r) => {
      if (r) {
        let slant = 0;
        for (const e of layer)
          for (const [n, p, q] of g.above[e]) slant = Math.max(slant, Math.abs(x[e] + p - x[n] - q));
        y += GAP_Y + Math.min(slant * 0.12, 40);
      }
      tops.push(y);
      y += layer.reduce((most, e) => Math.max(most, g.h[e]), 0);
      bottoms.push(y);
    });
    return [tops, bottoms];
  }

  function finish(group, boxes, g, x, tops, bottoms, entries, exits, chains, element) {
    const box = group >= 0 ? boxes[group] : { pad: 0, title: 0, top: 0 };
    let left = 0, right = 0;
    if (x.length) {
      left = x.reduce((a, v, e) => Math.min(a, v - g.w[e] / 2), Infinity);
      right = x.reduce((a, v, e) => Math.max(a, v + g.w[e] / 2), -Infinity);
    }
    let shift = box.pad - left;
    if (entries.size && box.title) {
      const first = Math.min(...[...entries.values()].map(e => x[e]));
      shift = Math.max(shift, box.title + 10 - first);
    }
    const w = Math.max(right + shift + box.pad, box.title + 2 * box.pad);
    const upper = entries.size ? Math.max(box.top - GAP_Y / 2, 0) : box.top;
    const h = (bottoms.at(-1) || 0) + upper + (exits.size ? 0 : box.pad);
    const middle = tops.map((t, i) => (t + bottoms[i]) / 2 + upper);
    const made = { w, h, at: new Map(), entries: new Map(), exits: new Map(), pieces: new Map() };
    for (const [child, e] of element)
      made.at.set(child, [x[e] + shift - g.w[e] / 2, middle[g.rank[e]] - g.h[e] / 2]);
    for (const [k, e] of entries) made.entries.set(k, x[e] + shift);
    for (const [k, e] of exits) made.exits.set(k, x[e] + shift);
    for (const [key, found] of chains) {
      if (!found) { made.pieces.set(key, null); continue; }
      const { chain, a, b } = found, points = [];
      chain.forEach(([e, at], i) => {
        const rank = g.rank[e], px = x[e] + shift + at, half = g.h[e] / 2;
        const first = i === 0, last = i === chain.length - 1;
        if (!first || g.kind[e]) points.push([px, tops[rank] + upper]);
        if (last && !g.kind[e]) points.push([px, middle[rank] - half]);
        else if (first && !g.kind[e])
          points.push([px, middle[rank] + half], [px, bottoms[rank] + upper]);
        else points.push([px, bottoms[rank] + upper]);
      });
      if (a === IN) points[0][1] = 0;
      if (b === OUT) points.at(-1)[1] = h;
      made.pieces.set(key, points);
    }
    return made;
  }

  return layout;
})();
