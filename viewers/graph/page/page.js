(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const S = data.strings, NS = 'http://www.w3.org/2000/svg';
  const byId = id => document.getElementById(id);
  const canvas = byId('canvas'), panel = byId('panel'), tip = byId('tip'), find = byId('find');

  // -- the graph: nodes in program order, groups before what is in them --------------------------
  const nodes = data.nodes.map(([kind, t, d, s, p, src, f, b, path, x], i) => ({
    i, kind: data.kinds[kind], t: S[t], d: S[d], s: S[s], p, src, f, b, path: S[path], x: x || {},
    kids: [], open: false, depth: 0,
  }));
  const isGroup = n => n.kind === 'cluster' || n.kind === 'composite' || n.kind === 'pack';
  for (const n of nodes) {
    if (n.p < 0) continue;
    const parent = nodes[n.p];
    parent.kids.push(n.i);
    n.depth = parent.depth + (parent.kind === 'pack' ? 0 : 1);
  }
  for (const n of nodes) n.open = isGroup(n) && n.kind !== 'pack' && n.depth < data.depth;
  const edges = [];
  for (let k = 0; k < data.edges.length; k += 3)
    edges.push({ a: data.edges[k], b: data.edges[k + 1], back: data.edges[k + 2] });

  const seen = new Int32Array(nodes.length); // what stands for a node: itself or a closed group
  function look() {
    for (const n of nodes) {
      if (n.p < 0) seen[n.i] = n.i;
      else seen[n.i] = seen[n.p] === n.p && nodes[n.p].open ? n.i : seen[n.p];
    }
  }
  const shown = n => seen[n.i] === n.i;

  // -- measuring ---------------------------------------------------------------------------------
  const pen = document.createElement('canvas').getContext('2d'), widths = new Map();
  const SANS = getComputedStyle(document.body).fontFamily;
  const MONO = getComputedStyle(byId('mono')).fontFamily;
  function width(text, font) {
    const key = font + text;
    if (!widths.has(key)) { pen.font = font; widths.set(key, pen.measureText(text).width); }
    return widths.get(key);
  }
  const bold = t => width(t, `600 12px ${SANS}`), head = t => width(t, `600 11px ${SANS}`);
  const small = t => width(t, `10px ${SANS}`), mono = t => width(t, `10px ${MONO}`);
  const pill = t => width(t, `9.5px ${MONO}`);
  const crop = (t, n) => (t.length > n ? t.slice(0, n - 1) + '…' : t);
  const alarming = t => /nan|inf/i.test(t);

  function faceOf(title, second, note, error, icon, back) {
    const texts = [second, note, error].filter(Boolean);
    const w = Math.max(56, bold(title) + (icon ? 14 : 0), second ? mono(second) : 0,
      note ? small(note) : 0, error ? small(error) : 0) + 22;
    return { title, second, note, error, icon, back, w, h: 26 + 14 * texts.length };
  }
  function shapeOf(n) {
    if (n.shape) return n.shape;
    const x = n.x, back = n.kind === 'node';
    const detail = isGroup(n) ? x.count || n.d : n.d;
    const title = crop(isGroup(n) && n.kind === 'cluster' ? `${n.t} ${n.d}` : n.t, 40);
    const second = [crop(isGroup(n) && n.kind === 'cluster' ? x.count || '' : detail, 28), n.s]
      .filter(Boolean).join('  ');
    const face = faceOf(title, second, crop(x.n || '', 44), crop(x.e || '', 60), back, back);
    const pills = x.pl || [], toGrads = back || (x.pg && !x.b);
    const shape = { face, pills: toGrads ? [] : pills, grads: toGrads ? pills : [], at: 0, back: null };
    if (x.b) {
      shape.back = faceOf(title, x.b.s, crop(x.b.n || '', 44), '', true, true);
      shape.grads = x.b.pl || [];
    }
    return (n.shape = shape);
  }
  function arrange(shape, apart) {
    const side = list => (list.length ? Math.max(...list.map(pill)) + 14 : 0);
    shape.pillsW = side(shape.pills);
    shape.at = shape.pills.length ? shape.pillsW + 12 : 0;
    let x = shape.at + shape.face.w;
    if (shape.back) {
      shape.backAt = shape.at + shape.face.w / 2 + Math.max(apart, need(shape)) - shape.back.w / 2;
      x = shape.backAt + shape.back.w;
    }
    shape.gradsW = side(shape.grads);
    if (shape.grads.length) x += shape.gradsW + 12;
    shape.w = x;
    shape.h = Math.max(shape.face.h, shape.back ? shape.back.h : 0,
      20 * Math.max(shape.pills.length, shape.grads.length));
    shape.out = shape.at + shape.face.w / 2;
    shape.backOut = shape.back ? shape.backAt + shape.back.w / 2
      : shape.out + Math.min(16, shape.face.w / 4);
  }
  const need = shape => (shape.back ? (shape.face.w + shape.back.w) / 2 + 18 : 0);

  // -- drawing -----------------------------------------------------------------------------------
  function el(name, attributes, text) {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  }
  const num = v => v.toFixed(1);
  const view = { x: 0, y: 0, k: 1 };
  let placed, boxOf, lifted, bounds, drawn, selected = -1, matches = [], matched = new Set();

  function draw() {
    look();
    const visible = nodes.filter(shown);
    boxOf = new Map(visible.map((n, i) => [n.i, i]));
    const shapes = visible.map(n => (n.open ? null : shapeOf(n)));
    const apart = Math.min(220, Math.max(0, ...shapes.filter(Boolean).slice(0, 20000).map(need)));
    const boxes = visible.map((n, i) => {
      const parent = n.p < 0 ? -1 : boxOf.get(n.p);
      if (n.open) {
        const title = head(crop(n.t, 40)) + small(crop(n.d, 30)) + 34;
        return { w: 0, h: 0, parent, group: true, title, top: 30, pad: 14 };
      }
      arrange(shapes[i], apart);
      return { w: shapes[i].w, h: shapes[i].h, parent, group: false };
    });
    const merged = new Map();
    for (const { a, b, back } of edges) {
      const u = seen[a], v = seen[b], key = (u * nodes.length + v) * 2 + back;
      if (u !== v && !merged.has(key)) merged.set(key, { u, v, back });
    }
    lifted = [...merged.values()].map(({ u, v, back }) => {
      const p = shapes[boxOf.get(u)], q = shapes[boxOf.get(v)];
      return {
        u, v, a: boxOf.get(u), b: boxOf.get(v), kind: back,
        outAt: back ? p.backOut : p.out, inAt: back ? q.backOut : q.out,
      };
    });
    placed = place(boxes, lifted);
    bounds = { w: placed.w, h: placed.h };
    paint(visible, shapes);
  }

  function paint(visible, shapes) {
    drawn = new Map();
    const layer = el('g', {}), frames = el('g', {}), arrows = el('g', {}), cells = el('g', {});
    visible.forEach((n, i) => {
      const rect = placed.rects[i];
      if (n.open) {
        frames.append(frame(n, rect));
        cells.append(heading(n, rect));
      } else cells.append(cell(n, shapes[i], rect));
    });
    const stubs = new Map();
    lifted.forEach((edge, i) => {
      const route = placed.routes[i];
      if (route) { edge.node = arrow(edge, route); arrows.append(edge.node); }
      else if (!edge.kind) {
        const push = (at, other, down) => {
          const key = at * 2 + down;
          stubs.set(key, (stubs.get(key) || []).concat(other));
        };
        push(edge.u, edge.v, 1);
        push(edge.v, edge.u, 0);
      }
    });
    for (const [key, others] of stubs) arrows.append(stub(key >> 1, others, key & 1));
    layer.append(frames, arrows, cells);
    canvas.replaceChildren(layer);
    mark();
    move();
  }

  function frame(n, rect) {
    let nest = 0;
    for (let p = n.p; p >= 0; p = nodes[p].p) nest++;
    const made = el('rect', {
      x: num(rect.x), y: num(rect.y), width: num(rect.w), height: num(rect.h), rx: 10,
      class: `frame ${n.kind} n${Math.min(nest, 2)}`, 'data-i': n.i,
    });
    drawn.set(n.i, made);
    return made;
  }
  function heading(n, rect) {
    const made = el('g', { class: 'head-hit', 'data-i': n.i, 'data-head': 1 });
    const x = rect.x + 11, y = rect.y + 17, title = crop(n.t, 40), detail = crop(n.d, 30);
    made.append(el('rect', {
      x: num(rect.x), y: num(rect.y), width: num(head(title) + small(detail) + 40), height: 26,
      'fill-opacity': 0,
    }));
    made.append(el('path', { d: `M${num(x)} ${num(y - 7)}h8l-4 6z`, class: 'tip', fill: 'currentColor' }));
    made.append(el('text', { x: num(x + 13), y: num(y), class: 'head' }, title));
    if (detail)
      made.append(el('text', { x: num(x + 18 + head(title)), y: num(y), class: 'muted' }, detail));
    if (n.x.e) made.append(el('text', { x: num(x), y: num(y + 13), class: 'bad' }, crop(n.x.e, 60)));
    return made;
  }
  function cell(n, shape, rect) {
    const made = el('g', { class: 'node', 'data-i': n.i, role: 'img', 'aria-label': label(n) });
    const middle = rect.y + rect.h / 2, face = shape.face;
    if (shape.back)
      made.append(el('path', {
        class: 'tie',
        d: `M${num(rect.x + shape.at + face.w)} ${num(middle)}H${num(rect.x + shape.backAt)}`,
      }));
    pills(made, shape.pills, 'param', rect.x, shape.pillsW, middle, 12);
    pills(made, shape.grads, 'grad', rect.x + shape.w - shape.gradsW, shape.gradsW, middle, -12);
    const front = drawFace(face, n, rect.x + shape.at, middle - face.h / 2);
    made.append(front);
    if (shape.back)
      made.append(drawFace(shape.back, null, rect.x + shape.backAt, middle - shape.back.h / 2));
    drawn.set(n.i, front);
    return made;
  }
  function pills(into, texts, kind, x, w, middle, reach) {
    let y = middle - 10 * texts.length + 2;
    for (const text of texts) {
      const start = reach > 0 ? x + w : x, c = y + 8, made = el('g', { class: kind });
      made.append(el('path', {
        d: `M${num(start)} ${num(c)}C${num(start + reach * 0.6)} ${num(c)} ` +
          `${num(start + reach * 0.4)} ${num(middle)} ${num(start + reach)} ${num(middle)}`,
      }));
      made.append(el('rect', {
        x: num(x), y: num(y), width: num(w), height: 16, rx: 8, class: 'face' }));
      made.append(el('text', {
        x: num(x + w / 2), y: num(y + 11.5), 'text-anchor': 'middle',
        class: alarming(text.split(' ').pop()) ? 'mono pill bad' : 'mono pill',
      }, text));
      into.append(made);
      y += 20;
    }
  }
  function drawFace(face, n, x, y) {
    const kind = n === null ? 'back' : n.x.e ? 'failed' : n.kind === 'node' ? 'back'
      : isGroup(n) ? 'group' : n.kind === 'root' ? 'rooted' : n.kind;
    const rooted = n !== null && (n.x.r || n.kind === 'root');
    const made = el('g', { class: `${kind}${rooted && !n.x.e ? ' rooted' : ''}` });
    const radius = kind === 'leaf' || kind === 'outside' ? face.h / 2 : kind === 'op' ? 3 : 6;
    const box = (dx, dy, dw, cls, r) => made.append(el('rect', {
      x: num(x + dx), y: num(y + dy), width: num(face.w - dw), height: num(face.h - dw), rx: r,
      class: `face ${cls}`,
    }));
    if (kind === 'group') box(4, 4, 0, 'under', radius);
    box(0, 0, 0, '', radius);
    if (rooted) box(3, 3, 6, 'inset', Math.max(radius - 2, 1));
    const centre = x + face.w / 2;
    let at = y + 18, titleAt = centre;
    if (face.icon) {
      titleAt = centre + 7;
      const left = centre - bold(face.title) / 2 - 5, down = data.phase === 'backward';
      made.append(el('path', {
        class: 'sign', d: `M${num(left - 4)} ${num(down ? at - 8.5 : at - 0.5)}h8l-4 ${down ? 8 : -8}z`,
      }));
    }
    made.append(el('text', { x: num(titleAt), y: num(at), class: 'title', 'text-anchor': 'middle' },
      face.title));
    for (const [text, cls] of [[face.second, 'mono'], [face.note, alarming(face.note) ? 'bad' : 'note'],
      [face.error, 'bad']]) {
      if (!text) continue;
      at += 14;
      made.append(el('text', { x: num(centre), y: num(at), class: cls, 'text-anchor': 'middle' }, text));
    }
    return made;
  }
  // How much lower than the cell's edge the face is that an arrow meets.
  function short(shape, back) {
    return (shape.h - (back && shape.back ? shape.back : shape.face).h) / 2;
  }
  function arrow(edge, route) {
    route = route.map(point => point.slice());
    route[0][1] -= short(shapeOf(nodes[edge.u]), edge.kind);
    route.at(-1)[1] += short(shapeOf(nodes[edge.v]), edge.kind);
    const made = el('g', {
      class: `edge${edge.kind || data.phase === 'backward' ? ' gradient' : ''}${edge.kind ? ' dashed' : ''}`,
    });
    let [x, y] = route[0], path = `M${num(x)} ${num(y)}`;
    for (let [nx, ny] of route.slice(1)) {
      if (Math.abs(nx - x) < 2) {
        nx = x;
        if (Math.abs(ny - y) > 0.05) path += `V${num(ny)}`;
      } else {
        const half = num((y + ny) / 2);
        path += `C${num(x)} ${half} ${num(nx)} ${half} ${num(nx)} ${num(ny)}`;
      }
      x = nx; y = ny;
    }
    made.append(el('path', { class: 'line', d: path }));
    const [hx, hy] = edge.kind ? route[0] : [x, y];
    made.append(el('path', {
      class: 'tip', d: `M${num(hx)} ${num(hy)}l-3.6 ${edge.kind ? 7 : -7}h7.2z` }));
    return made;
  }
  function stub(at, others, down) {
    const n = nodes[at], rect = placed.rects[boxOf.get(at)], shape = shapeOf(n);
    const x = rect.x + shape.out + 12, half = shape.face.h / 2, middle = rect.y + rect.h / 2;
    const y = down ? middle + half : middle - half, end = down ? y + 11 : y - 11;
    const more = others.length > 1 ? ` +${others.length - 1}` : '';
    const made = el('g', {});
    made.append(el('path', { class: 'stub', d: `M${num(x)} ${num(y)}V${num(end)}` }));
    made.append(el('text', { class: 'muted', x: num(x + 4), y: num(end + (down ? 1 : 6)) },
      `${down ? 'to' : 'from'} ${crop(nodes[others[0]].t, 24)}${more}`));
    return made;
  }

  // -- moving ------------------------------------------------------------------------------------
  function move() {
    canvas.firstChild.setAttribute('transform',
      `translate(${num(view.x)} ${num(view.y)}) scale(${view.k.toFixed(4)})`);
  }
  function zoom(by, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const k = Math.min(4, Math.max(0.02, view.k * by));
    view.x = x - (x - view.x) * k / view.k;
    view.y = y - (y - view.y) * k / view.k;
    view.k = k;
    move();
  }
  function fit(whole = true) {
    const w = canvas.clientWidth - 40, h = canvas.clientHeight - 40;
    view.k = Math.min(1.4, w / bounds.w, whole ? h / bounds.h : 9);
    if (!whole && h / bounds.h > 0.6) view.k = Math.min(view.k, h / bounds.h);
    if (!whole) view.k = Math.max(view.k, 0.35);
    view.x = Math.max((canvas.clientWidth - bounds.w * view.k) / 2, bounds.w * view.k > w ? 20 : 0);
    view.y = bounds.h * view.k < h ? (canvas.clientHeight - bounds.h * view.k) / 2 : 20;
    move();
  }
  const rectOf = i => placed.rects[boxOf.get(seen[i])];
  // Change what is open; the node stays where it is on the screen.
  function keeping(i, change) {
    const before = rectOf(i), x = before.x * view.k + view.x, y = before.y * view.k + view.y;
    change();
    draw();
    const after = rectOf(i);
    view.x = x - after.x * view.k;
    view.y = y - after.y * view.k;
    move();
    reveal(i);
  }
  function reveal(i, margin = 40) {
    const rect = rectOf(i), x = rect.x * view.k + view.x, y = rect.y * view.k + view.y;
    const w = Math.min(rect.w * view.k, canvas.clientWidth / 2);
    const h = Math.min(nodes[seen[i]].open ? 30 : rect.h * view.k, canvas.clientHeight / 2);
    view.x += Math.max(0, margin - x) - Math.max(0, x + w + margin - canvas.clientWidth);
    view.y += Math.max(0, margin - y) - Math.max(0, y + h + margin - canvas.clientHeight);
    move();
  }
  function centre(i) {
    const rect = rectOf(i);
    view.k = Math.max(view.k, 0.7);
    view.x = canvas.clientWidth / 2 - (rect.x + Math.min(rect.w / 2, 200)) * view.k;
    view.y = canvas.clientHeight / 2 - (rect.y + Math.min(rect.h / 2, 100)) * view.k;
    move();
  }
  function toggle(i) {
    const n = nodes[i];
    if (isGroup(n)) keeping(i, () => { n.open = !n.open; });
  }
  function uncover(i) {
    let closed = false;
    for (let p = nodes[i].p; p >= 0; p = nodes[p].p)
      if (!nodes[p].open) { nodes[p].open = true; closed = true; }
    if (closed) draw();
  }
  function go(i) {
    uncover(i);
    select(i);
    const rect = rectOf(i), x = rect.x * view.k + view.x, y = rect.y * view.k + view.y;
    const seenNow = x > 0 && y > 0 && x + 60 < canvas.clientWidth && y + 30 < canvas.clientHeight;
    if (seenNow && view.k > 0.6) reveal(i); else centre(i);
  }

  // Open level by level, as long as it stays readable; or close all.
  function openMore() {
    const closed = nodes.filter(n => shown(n) && isGroup(n) && !n.open);
    if (!closed.length) return;
    const depth = Math.min(...closed.map(n => n.depth));
    const chosen = closed.filter(n => n.depth === depth);
    const total = chosen.reduce((sum, n) => sum + n.kids.length, 0);
    if (total > 3000) { say(`${total} nodes would open: open the groups one by one`); return; }
    for (const n of chosen) n.open = true;
    draw();
    fit(false);
  }
  function closeAll() {
    for (const n of nodes) n.open = false;
    draw();
    fit();
    if (selected >= 0) select(seen[selected]);
  }

  // -- selecting ---------------------------------------------------------------------------------
  function mark() {
    for (const [i, node] of drawn) {
      node.classList.toggle('sel', i === selected);
      node.classList.toggle('match', matched.has(i));
    }
    for (const edge of lifted)
      if (edge.node)
        edge.node.classList.toggle('hot', selected >= 0 && (edge.u === selected || edge.v === selected));
  }
  function select(i) {
    selected = i;
    mark();
    describe(i);
    if (i >= 0) byId('said').textContent = label(nodes[i]);
  }
  function label(n) {
    const state = isGroup(n) ? (n.open ? 'open group' : 'closed group') : n.kind;
    return [n.t, n.d, state, n.s, n.x.n, n.x.e].filter(Boolean).join(', ');
  }
  const say = text => { byId('found').textContent = text; byId('said').textContent = text; };

  function html(name, text, cls) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (cls) made.className = cls;
    return made;
  }
  function table(rows) {
    const made = html('table');
    for (const [name, value] of rows) {
      if (value === '' || value == null) continue;
      const row = html('tr');
      const td = html('td', value, 'mono');
      if (/^(nan|inf)$/i.test(name)) td.className = 'mono bad';
      row.append(html('td', name), td);
      made.append(row);
    }
    return made;
  }
  const time = ns => (ns <= 0 ? '' : ns < 1e6 ? `${(ns / 1e3).toFixed(1)} µs` : `${(ns / 1e6).toFixed(2)} ms`);
  const figure = v => (v === null ? '' : String(v));
  function figures(into, v, back) {
    if (!v) return;
    const [count, nan, inf, zeros, low, high, mean, std, norm, counts] = v;
    into.append(table([['NaN', nan || ''], ['Inf', inf || ''], ['min', figure(low)], ['max', figure(high)],
      ['mean', figure(mean)], ['std', figure(std)], ['norm', figure(norm)],
      ['zeros', zeros ? `${zeros} (${(100 * zeros / count).toFixed(1)} %)` : ''], ['elements', count]]));
    if (!counts || counts.length < 2 || count < 2) return;
    const top = Math.max(...counts), w = 290 / counts.length;
    const bars = el('svg', {
      class: back ? 'bars back' : 'bars', viewBox: '0 0 290 44', width: 290, height: 44, role: 'img',
      'aria-label': 'histogram',
    });
    counts.forEach((c, k) => bars.append(el('rect', {
      x: num(k * w), width: num(Math.max(w - 1, 1)), y: num(44 - 44 * c / top), height: num(44 * c / top),
    })));
    into.append(bars);
  }
  function place_(src) {
    const [file, line, where, text] = data.sources[src];
    return { at: `${data.files[file]}:${line}${where && where !== '<module>' ? ` in ${where}` : ''}`, text };
  }
  function links(title, list) {
    if (!list.length) return;
    panel.append(html('h3', title));
    const ul = html('ul');
    for (const i of list.slice(0, 30)) {
      const li = html('li'), button = html('button', [nodes[i].t, nodes[i].s].filter(Boolean).join('  '));
      button.addEventListener('click', () => go(i));
      li.append(button);
      ul.append(li);
    }
    if (list.length > 30) ul.append(html('li', `and ${list.length - 30} more`, 'sub'));
    panel.append(ul);
  }
  function describe(i) {
    panel.replaceChildren();
    if (i < 0) { welcome(); return; }
    const n = nodes[i], x = n.x;
    panel.append(html('h2', [n.t, n.d].filter(Boolean).join(' ')));
    panel.append(html('div', [{ cluster: 'module', pack: 'part of a long list', node: 'backward node',
      root: 'what backward starts from', outside: 'made outside of the module' }[n.kind] || n.kind,
    n.path && n.path !== n.t ? `in ${n.path}` : ''].filter(Boolean).join(' '), 'sub'));
    if (x.e) panel.append(html('p', x.e, 'bad'));
    if (n.src >= 0) {
      const { at, text } = place_(n.src);
      panel.append(html('h3', 'source'), html('div', at, 'mono'));
      if (text) panel.append(html('pre', text, 'mono'));
    }
    panel.append(html('h3', n.kind === 'node' ? 'gradient that came' : 'value'));
    const given = (x.m || []).map(([k, v]) => (k ? `${k}=${v}` : v)).join(', ');
    panel.append(table([['shape', n.s], ['arguments', given],
      ['time', time(n.f)], ['backward', time(n.b)], ['holds', x.count]]));
    figures(panel, x.v, n.kind === 'node');
    if (x.b) {
      panel.append(html('h3', 'gradient'), table([['shape', x.b.s]]));
      figures(panel, x.b.v, true);
    }
    for (const [title, list, back] of [['parameters', x.pa, false], ['gradients accumulated', x.ga, true]]) {
      if (!list) continue;
      panel.append(html('h3', title));
      for (const [name, shape, v] of list) {
        panel.append(html('div', `${name}  ${shape}`, 'mono'));
        figures(panel, v, back);
      }
    }
    const members = new Set([i]);
    if (isGroup(n)) for (const other of nodes) if (members.has(other.p)) members.add(other.i);
    const feeds = new Set(), uses = new Set();
    for (const { a, b, back } of edges) {
      if (back) continue;
      if (members.has(b) && !members.has(a)) feeds.add(a);
      if (members.has(a) && !members.has(b)) uses.add(b);
    }
    links(data.phase === 'backward' ? 'gradient comes from' : 'fed by', [...feeds]);
    links(data.phase === 'backward' ? 'gradient goes to' : 'used by', [...uses]);
  }
  function welcome() {
    panel.append(html('h2', data.title), html('div', data.about, 'sub'));
    panel.append(html('h3', 'keys'));
    const keys = html('table');
    for (const [key, what] of [['↑ ↓', 'select the one before, after'], ['← →', 'close, open; out, in'],
      ['enter', 'open or close'], ['[ ]', 'to what feeds it, uses it'], ['/', 'search; n N: next, previous'],
      ['+ - 0', 'closer, farther, all of it'], ['shift + arrows', 'move the picture'],
      ['o c', 'open a level, close all'], ['t', 'light or dark'], ['esc', 'select nothing']]) {
      const row = html('tr'), td = html('td');
      key.split(/ (?!\+|arrows)/).forEach(k => td.append(html('kbd', k), ' '));
      row.append(td, html('td', what));
      keys.append(row);
    }
    panel.append(keys, html('h3', 'mouse'),
      html('div', 'drag moves, the wheel zooms, a click on a group opens it, on a node selects it', 'sub'));
  }

  // -- searching ---------------------------------------------------------------------------------
  let at = -1;
  function search(text) {
    text = text.trim().toLowerCase();
    matches = [];
    at = -1;
    if (text) {
      const sources = data.sources.map((_, i) => { const p = place_(i); return `${p.at} ${p.text}`.toLowerCase(); });
      for (const n of nodes) {
        const own = `${n.t} ${n.d} ${n.s} ${n.path} ${n.x.n || ''} ${n.x.e || ''}`.toLowerCase();
        const pillsText = (n.x.pl || []).join(' ').toLowerCase();
        if (own.includes(text) || pillsText.includes(text) || (n.src >= 0 && sources[n.src].includes(text)))
          matches.push(n.i);
      }
    }
    matched = new Set(matches);
    mark();
    say(text ? `${matches.length} found` : '');
  }
  function next(by) {
    if (!matches.length) return;
    at = at < 0 ? (by > 0 ? 0 : matches.length - 1) : (at + by + matches.length) % matches.length;
    go(matches[at]);
    byId('found').textContent = `${at + 1} of ${matches.length}`;
  }
  find.addEventListener('input', () => search(find.value));
  find.addEventListener('keydown', event => {
    if (event.key === 'Enter') { next(event.shiftKey ? -1 : 1); event.preventDefault(); }
    else if (event.key === 'Escape') { find.value = ''; search(''); canvas.focus(); }
    event.stopPropagation();
  });

  // -- keys and mouse ----------------------------------------------------------------------------
  function step(by) {
    let i = selected < 0 ? (by > 0 ? -1 : nodes.length) : selected;
    do i += by; while (i >= 0 && i < nodes.length && !shown(nodes[i]));
    if (i >= 0 && i < nodes.length) { select(i); reveal(i); }
  }
  function along(forward) {
    if (selected < 0) return;
    const edge = lifted.find(e => !e.kind && (forward ? e.u : e.v) === selected);
    if (edge) { select(forward ? edge.v : edge.u); reveal(selected); }
  }
  function sideways(right) {
    const n = nodes[selected];
    if (!n) return;
    if (isGroup(n) && n.open !== right) toggle(selected);
    else if (right && n.open && n.kids.length) { select(n.kids[0]); reveal(selected); }
    else if (!right && n.p >= 0) { select(n.p); reveal(selected); }
  }
  function pan(dx, dy) { view.x += dx; view.y += dy; move(); }
  const KEYS = {
    ArrowDown: () => step(1), ArrowUp: () => step(-1),
    ArrowRight: () => sideways(true), ArrowLeft: () => sideways(false),
    Enter: () => selected >= 0 && toggle(selected), ' ': () => selected >= 0 && toggle(selected),
    '+': () => zoom(1.25), '=': () => zoom(1.25), '-': () => zoom(0.8), '0': () => fit(), f: () => fit(),
    '/': () => { find.focus(); find.select(); }, n: () => next(1), N: () => next(-1),
    o: openMore, c: closeAll, t: theme, '[': () => along(false), ']': () => along(true),
    Escape: () => select(-1), Home: () => { select(-1); step(1); }, End: () => { select(-1); step(-1); },
  };
  const PANS = { ArrowDown: [0, -80], ArrowUp: [0, 80], ArrowRight: [-80, 0], ArrowLeft: [80, 0] };
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.tagName === 'BUTTON' && (event.key === 'Enter' || event.key === ' ')) return;
    if (event.shiftKey && PANS[event.key]) pan(...PANS[event.key]);
    else if (KEYS[event.key]) KEYS[event.key]();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener('wheel', event => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) / 500),
      event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  let drag = null;
  canvas.addEventListener('pointerdown', event => {
    drag = { x: event.clientX, y: event.clientY, far: false, on: event.target.closest('[data-i]') };
    canvas.setPointerCapture(event.pointerId);
    canvas.focus();
  });
  canvas.addEventListener('pointermove', event => {
    if (!drag) { hover(event); return; }
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (!drag.far && Math.hypot(dx, dy) < 4) return;
    drag.far = true;
    canvas.classList.add('drag');
    pan(dx, dy);
    drag.x = event.clientX;
    drag.y = event.clientY;
  });
  canvas.addEventListener('pointerup', () => {
    const { on, far } = drag || {};
    drag = null;
    canvas.classList.remove('drag');
    if (far) return;
    if (!on) { select(-1); return; }
    const i = Number(on.dataset.i), n = nodes[i];
    const frameOnly = n.open && !on.dataset.head;
    select(i);
    if (isGroup(n) && !frameOnly) toggle(i);
  });
  canvas.addEventListener('pointerleave', () => { tip.style.display = 'none'; });
  function hover(event) {
    const on = event.target.closest('[data-i]');
    const n = on && nodes[Number(on.dataset.i)];
    if (!n || (n.open && !on.dataset.head)) { tip.style.display = 'none'; return; }
    const lines = [[n.t, n.d, n.s].filter(Boolean).join('  ')];
    if (n.x.n) lines.push(n.x.n);
    if (n.x.b) lines.push(`gradient ${n.x.b.s}  ${n.x.b.n || ''}`);
    if (n.x.e) lines.push(n.x.e);
    if (n.src >= 0) { const p = place_(n.src); lines.push(p.at); if (p.text) lines.push(p.text); }
    tip.textContent = lines.join('\n');
    tip.style.display = 'block';
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left + 14, y = event.clientY - box.top + 14;
    tip.style.left = `${Math.min(x, box.width - tip.offsetWidth - 8)}px`;
    tip.style.top = `${y + tip.offsetHeight > box.height ? y - tip.offsetHeight - 28 : y}px`;
  }

  // -- the page ----------------------------------------------------------------------------------
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const setDark = on => document.documentElement.classList.toggle('dark', on);
  function theme() { setDark(!document.documentElement.classList.contains('dark')); }
  setDark(dark.matches);
  dark.addEventListener('change', () => setDark(dark.matches));
  let kept = null;
  addEventListener('beforeprint', () => {
    kept = { ...view, dark: document.documentElement.classList.contains('dark') };
    setDark(false);
    Object.assign(view, { x: 10, y: 10, k: 1 });
    canvas.setAttribute('viewBox', `0 0 ${bounds.w + 20} ${bounds.h + 20}`);
    move();
  });
  addEventListener('afterprint', () => {
    canvas.removeAttribute('viewBox');
    setDark(kept.dark);
    Object.assign(view, { x: kept.x, y: kept.y, k: kept.k });
    move();
  });
  for (const [id, act] of [['closer', () => zoom(1.25)], ['farther', () => zoom(0.8)], ['all', () => fit()],
    ['open', openMore], ['close', closeAll], ['theme', theme], ['print', () => print()]])
    byId(id).addEventListener('click', act);
  draw();
  fit(false);
  welcome();
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (wanted) { find.value = wanted; search(wanted); next(1); }
})();
