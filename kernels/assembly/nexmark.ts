// Columns of the Nexmark source, in a module of their own: only slots that read Nexmark load them. Each fills `count` rows
// from row `row` of its kind on; every value is a function of the column's seed and the event's number alone, so any slot
// can make any range, and what nobody reads is not made. Chance is SplitMix64 (Steele, Lea, Flood 2014) read at position n.
//
// Of 50 events the first is a person, three are auctions, 46 are bids: row r of a kind that has `per` of them behind the
// first `skip` is event r / per × 50 + skip + r mod per.
//
// Texts of more than 12 bytes are written one behind the other from `texts` on, in steps of 16 bytes: there must be room
// for 15 bytes more than they have. Nothing here allocates, keeps globals or traps on data.

const gamma: u64 = 0x9e3779b97f4a7c15;
const perEpoch: u64 = 50;
const auctionsPerEpoch: u64 = 3;
/** Hot keys change every so many auctions and persons. */
const hotEvery: u64 = 100;
const auctionsInFlight: u64 = 100;
const activePersons: u64 = 1000;
/** So many ids that are not there yet may be drawn. */
const idLead: u64 = 10;
const firstId: u64 = 1000;

// @ts-ignore: decorator
@inline
function draw(seed: u64, n: u64): u64 {
  let z = seed + n * gamma;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/** The upper half of `x` as a number below `range`, which is at most 2^32. */
// @ts-ignore: decorator
@inline
function below(x: u64, range: u64): u64 {
  return ((x >> 32) * range) >> 32;
}

/** The lower half, likewise. */
// @ts-ignore: decorator
@inline
function belowLow(x: u64, range: u64): u64 {
  return ((x & 0xffffffff) * range) >> 32;
}

/** Numbers of events: no chance in them. `id` = epoch × per + place + base. */
export function ids(out: usize, count: i32, row: u64, base: u64): void {
  for (let k = 0; k < count; k++) store<u64>(out + (<usize>k << 3), row + <u64>k + base);
}

/** BIGINT, uniform from `min` on, below min + range. */
export function uniform(out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, min: u64, range: u64): void {
  let epoch = row / per;
  let place = row % per;
  for (let k = 0; k < count; k++) {
    store<u64>(out + (<usize>k << 3), min + below(draw(seed, epoch * perEpoch + skip + place), range));
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

/** The auction of a bid: the first of its hundred but once in `ratio`, else one in flight or about to come. */
export function bidAuctions(out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, ratio: u64): void {
  let epoch = row / per;
  let place = row % per;
  for (let k = 0; k < count; k++) {
    const x = draw(seed, epoch * perEpoch + skip + place);
    const last = epoch * auctionsPerEpoch + auctionsPerEpoch - 1;
    let id: u64;
    if (belowLow(x, ratio) > 0) id = (last / hotEvery) * hotEvery;
    else {
      const least = last > auctionsInFlight ? last - auctionsInFlight : 0;
      id = least + below(x, last - least + 1 + idLead);
    }
    store<u64>(out + (<usize>k << 3), id + firstId);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

/** A person: number `hot` of the last hundred but once in `ratio`, else an active one or one about to come. */
export function persons(out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, ratio: u64, hot: u64): void {
  let epoch = row / per;
  let place = row % per;
  for (let k = 0; k < count; k++) {
    const x = draw(seed, epoch * perEpoch + skip + place);
    let id: u64;
    if (belowLow(x, ratio) > 0) id = (epoch / hotEvery) * hotEvery + hot;
    else {
      const people = epoch + 1;
      const active = people < activePersons ? people : activePersons;
      id = people - active + below(x, active + idLead);
    }
    store<u64>(out + (<usize>k << 3), id + firstId);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

/** 10^(6 u) × 100, rounded: `powers` holds 10^(6 i / 4096), and a polynomial goes on from there. Basic operations only. */
// @ts-ignore: decorator
@inline
function price(x: u64, powers: usize): i64 {
  const h = <f64>(<i64>(x & 0xfffffffffffff)) * 7.489403280470645e-19;
  const rest = 1.0 + h * (1.0 + h * (0.5 + h * (0.16666666666666666 + h * 0.041666666666666664)));
  return <i64>floor<f64>(load<f64>(powers + <usize>((x >> 52) << 3)) * rest * 100.0 + 0.5);
}

/** Prices; with `more` the sum of two (the reserve of an auction). */
export function prices(
  out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, powers: usize, more: i32, moreSeed: u64,
): void {
  let epoch = row / per;
  let place = row % per;
  for (let k = 0; k < count; k++) {
    const n = epoch * perEpoch + skip + place;
    let p = price(draw(seed, n), powers);
    if (more) p += price(draw(moreSeed, n), powers);
    store<i64>(out + (<usize>k << 3), p);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

// @ts-ignore: decorator
@inline
function timeOf(n: u64, start: i64, step: f64, seed: u64, disorder: u64): i64 {
  const delay = disorder <= 1 ? 0 : <i64>below(draw(seed, n), disorder);
  return start + <i64>floor<f64>(<f64>(<i64>n) * step) + delay;
}

/** start + floor(n × step) + a delay below `disorder`; with a `life`, 1 to `life` later (when an auction ends). */
export function times(
  out: usize, count: i32, row: u64, per: u64, skip: u64, start: i64, step: f64, seed: u64, disorder: u64,
  life: u64, lifeSeed: u64,
): void {
  let epoch = row / per;
  let place = row % per;
  for (let k = 0; k < count; k++) {
    const n = epoch * perEpoch + skip + place;
    let at = timeOf(n, start, step, seed, disorder);
    if (life > 0) at += 1 + <i64>below(draw(lifeSeed, n), life);
    store<i64>(out + (<usize>k << 3), at);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

// Texts

/** Copies in steps of 16 bytes. */
// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize, bytes: u32): void {
  for (let i: usize = 0; i < <usize>bytes; i += 16) v128.store(to + i, v128.load(from + i));
}

/** The view at `out` of a text that stands at `at`: short ones move into it. Answers where the next text may begin. */
// @ts-ignore: decorator
@inline
function view(out: usize, at: usize, length: u32): usize {
  if (length > 12) {
    store<u64>(out, <u64>length | (<u64>load<u32>(at) << 32));
    store<u64>(out, <u64>at << 32, 8);
    return at + length;
  }
  const low = load<u64>(at);
  const high = <u64>load<u32>(at, 8);
  const kept: u64 = length < 8 ? low & ((<u64>1 << (<u64>length << 3)) - 1) : low;
  const rest: u64 = length <= 8 ? 0 : high & ((<u64>1 << ((<u64>length - 8) << 3)) - 1);
  store<u64>(out, <u64>length | (kept << 32));
  store<u64>(out, (kept >> 32) | (rest << 32), 8);
  return at;
}

/** A view of the table with its bytes copied. Answers where the next text may begin. */
// @ts-ignore: decorator
@inline
function fresh(out: usize, entry: usize, at: usize): usize {
  const length = load<u32>(entry);
  v128.store(out, v128.load(entry));
  if (length <= 12) return at;
  copy(at, <usize>load<u32>(entry, 12), length);
  store<u32>(out, <u32>at, 12);
  return at + length;
}

/**
 * Letters, and the special character once in 13 but never at an end: four to a draw, 16 bits each. A word's draws go on
 * from `seed`.
 */
// @ts-ignore: decorator
@inline
function word(to: usize, length: u32, seed: u64, special: u32): void {
  let bits: u64 = 0;
  for (let i: u32 = 0; i < length; i++) {
    if ((i & 3) == 0) bits = draw(seed, <u64>(i >> 2));
    const v = <u32>(((bits & 0xffff) * 338) >> 16);
    bits >>= 16;
    const plain = v >= 26 || i == 0 || i == length - 1;
    store<u8>(to + <usize>i, plain ? 0x61 + (v % 26) : special);
  }
}

// @ts-ignore: decorator
@inline
function wordLength(x: u64, max: u64): u32 {
  return 3 + <u32>below(x, max - 3);
}

/** Words of 3 to max − 1 characters, blanks among them. */
export function words(
  out: usize, count: i32, row: u64, per: u64, skip: u64, lengths: u64, letters: u64, max: u64, texts: usize,
): void {
  let epoch = row / per;
  let place = row % per;
  let at = texts;
  for (let k = 0; k < count; k++) {
    const n = epoch * perEpoch + skip + place;
    const length = wordLength(draw(lengths, n), max);
    word(at, length, draw(letters, n), 0x20);
    at = view(out + (<usize>k << 4), at, length);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

/** One of the `entries` views of a table. */
export function picks(
  out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, table: usize, entries: u64, texts: usize,
): void {
  let epoch = row / per;
  let place = row % per;
  let at = texts;
  for (let k = 0; k < count; k++) {
    const entry = below(draw(seed, epoch * perEpoch + skip + place), entries);
    at = fresh(out + (<usize>k << 4), table + <usize>(entry << 4), at);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

/** As `picks`, of a table of channels: every other time one of the four hot ones, which come first. */
export function channels(
  out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, table: usize, cold: u64, texts: usize,
): void {
  let epoch = row / per;
  let place = row % per;
  let at = texts;
  for (let k = 0; k < count; k++) {
    const x = draw(seed, epoch * perEpoch + skip + place);
    const entry = (x & 1) != 0 ? (x >> 1) & 3 : 4 + below(x, cold);
    at = fresh(out + (<usize>k << 4), table + <usize>(entry << 4), at);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

/** Decimal digits at `to`; answers how many. */
function digits(to: usize, value: u32): u32 {
  let length: u32 = 1;
  for (let rest = value; rest >= 10; rest /= 10) length++;
  let rest = value;
  for (let i = length; i > 0; i--) {
    store<u8>(to + <usize>i - 1, 0x30 + (rest % 10));
    rest /= 10;
  }
  return length;
}

/** Views of `channel-0` and so on: twelve bytes at most, so they lie in the views. `scratch`: 32 bytes. */
export function channelTable(table: usize, count: u32, scratch: usize): void {
  store<u64>(scratch, 0x2d6c656e6e616863); // 'channel-'
  for (let i: u32 = 0; i < count; i++) view(table + (<usize>i << 4), scratch, 8 + digits(scratch + 8, i));
}

// @ts-ignore: decorator
@inline
function mirrored(x: u32): u32 {
  let y = ((x >> 1) & 0x55555555) | ((x & 0x55555555) << 1);
  y = ((y >> 2) & 0x33333333) | ((y & 0x33333333) << 2);
  y = ((y >> 4) & 0x0f0f0f0f) | ((y & 0x0f0f0f0f) << 4);
  return bswap<u32>(y);
}

/**
 * Views of urls, 80 bytes of `texts` each: `head` (24 bytes), three directories of 3 or 4 characters with a slash behind
 * each, `tail` (16 bytes); nine of ten cold ones, those from entry 4 on, then `idHead` (12 bytes) and a number.
 */
export function urlTable(
  table: usize, count: u32, seed: u64, letters: u64, head: usize, tail: usize, idHead: usize, texts: usize,
): void {
  for (let i: u32 = 0; i < count; i++) {
    const from = texts + <usize>i * 80;
    const x = draw(seed, <u64>i);
    copy(from, head, 24);
    let at = from + 24;
    for (let d: u64 = 0; d < 3; d++) {
      const length = 3 + (<u32>(x >> d) & 1);
      word(at, length, draw(letters, (<u64>i << 2) | d), 0x5f);
      store<u8>(at + <usize>length, 0x2f);
      at += <usize>length + 1;
    }
    copy(at, tail, 16);
    at += 16;
    if (i >= 4 && below(x, 10) > 0) {
      copy(at, idHead, 12);
      at += 12;
      // As Java's Math.abs(Integer.reverse(channel)).
      const id = <i32>mirrored(i - 4);
      at += <usize>digits(at, <u32>(id < 0 ? -id : id));
    }
    view(table + (<usize>i << 4), from, <u32>(at - from));
  }
}

/** `name@host.com`. */
// @ts-ignore: decorator
@inline
function emailLength(x: u64): u32 {
  return (3 + (<u32>x & 3)) + 1 + (3 + ((<u32>x >> 2) & 1)) + 4;
}
export function emails(
  out: usize, count: i32, row: u64, per: u64, skip: u64, lengths: u64, letters: u64, texts: usize,
): void {
  let at = texts;
  for (let k = 0; k < count; k++) {
    const n = (row + <u64>k) * perEpoch + skip;
    const x = draw(lengths, n);
    const name = 3 + (<u32>x & 3);
    const host = 3 + ((<u32>x >> 2) & 1);
    const y = draw(letters, n);
    word(at, name, y, 0x20);
    store<u8>(at + name, 0x40);
    word(at + name + 1, host, ~y, 0x20);
    store<u32>(at + name + 1 + host, 0x6d6f632e); // '.com'
    at = view(out + (<usize>k << 4), at, emailLength(x));
  }
}

/** Four times four digits, with blanks between. */
export function cards(out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, texts: usize): void {
  let at = texts;
  for (let k = 0; k < count; k++) {
    let x = draw(seed, (row + <u64>k) * perEpoch + skip);
    for (let i: usize = 0; i < 20; i += 5) {
      const v = <u32>(((x & 0xffff) * 10000) >> 16);
      x >>= 16;
      store<u32>(at + i, 0x30303030 + v / 1000 + ((v / 100 % 10) << 8) + ((v / 10 % 10) << 16) + ((v % 10) << 24));
      store<u8>(at + i, 0x20, 4);
    }
    at = view(out + (<usize>k << 4), at, 19);
  }
}

/** Letters that extra texts are cut out of. */
export function letterPool(to: usize, bytes: u32, seed: u64): void {
  for (let i: u32 = 0; i < bytes; i++) store<u8>(to + <usize>i, 0x61 + <u32>below(draw(seed, <u64>i), 26));
}

/** A text that brings `size` bytes to `average`, 20 % more or less; cut out of the first 64 KB of the pool and what follows. */
// @ts-ignore: decorator
@inline
function extraText(out: usize, at: usize, x: u64, size: u32, average: u32, pool: usize): usize {
  if (size > average) {
    v128.store(out, i64x2.splat(0));
    return at;
  }
  const wanted = average - size;
  const delta = <u32>floor<f64>(<f64>wanted * 0.2 + 0.5);
  const length = wanted - delta + <u32>below(x, <u64>(2 * delta));
  copy(at, pool + <usize>(x & 0xffff), length);
  return view(out, at, length);
}

export function bidExtras(
  out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, average: u32, pool: usize, texts: usize,
): void {
  let epoch = row / per;
  let place = row % per;
  let at = texts;
  for (let k = 0; k < count; k++) {
    at = extraText(out + (<usize>k << 4), at, draw(seed, epoch * perEpoch + skip + place), 32, average, pool);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

/** The sizes of the name and the description are drawn as their columns draw them. */
export function auctionExtras(
  out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, average: u32, pool: usize, texts: usize,
  names: u64, descriptions: u64,
): void {
  let epoch = row / per;
  let place = row % per;
  let at = texts;
  for (let k = 0; k < count; k++) {
    const n = epoch * perEpoch + skip + place;
    const size = 48 + wordLength(draw(names, n), 20) + wordLength(draw(descriptions, n), 100);
    at = extraText(out + (<usize>k << 4), at, draw(seed, n), size, average, pool);
    if (++place == per) {
      place = 0;
      epoch++;
    }
  }
}

/** Likewise the name, the address and the city; a card has 19 bytes, a state two. */
export function personExtras(
  out: usize, count: i32, row: u64, per: u64, skip: u64, seed: u64, average: u32, pool: usize, texts: usize,
  names: u64, nameTable: usize, nameEntries: u64, emailSeed: u64, cities: u64, cityTable: usize, cityEntries: u64,
): void {
  let at = texts;
  for (let k = 0; k < count; k++) {
    const n = (row + <u64>k) * perEpoch + skip;
    const name = load<u32>(nameTable + <usize>(below(draw(names, n), nameEntries) << 4));
    const city = load<u32>(cityTable + <usize>(below(draw(cities, n), cityEntries) << 4));
    const size = 8 + name + emailLength(draw(emailSeed, n)) + 19 + city + 2;
    at = extraText(out + (<usize>k << 4), at, draw(seed, n), size, average, pool);
  }
}
