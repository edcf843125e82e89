/**
 * Nexmark's queries as DuckDB answers them, written from the benchmark's description and not from ours, over the same events as
 * Parquet: tables person, auction and bid.
 */

export interface NexmarkSql {
  readonly sql: string;
  /** Columns that are determined where the query leaves ties open. */
  readonly determined?: readonly string[];
}

const ranks = `count(*) AS total_bids,
  count(*) FILTER (WHERE price < 10000) AS rank1_bids,
  count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
  count(*) FILTER (WHERE price >= 1000000) AS rank3_bids`;

/** Different values of a column, in all and by rank: `total_bidders`, `rank1_bidders`, … */
const different = (column: string): string => `count(DISTINCT ${column}) AS total_${column}s,
  count(DISTINCT ${column}) FILTER (WHERE price < 10000) AS rank1_${column}s,
  count(DISTINCT ${column}) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_${column}s,
  count(DISTINCT ${column}) FILTER (WHERE price >= 1000000) AS rank3_${column}s`;

export const nexmarkSql: Readonly<Record<string, NexmarkSql>> = {
  q0: { sql: 'SELECT auction, bidder, price, dateTime, extra FROM bid' },
  q1: { sql: 'SELECT auction, bidder, CAST(0.908 * price AS VARCHAR) AS price, dateTime, extra FROM bid' },
  q2: { sql: 'SELECT auction, price FROM bid WHERE auction % 123 = 0' },
  q3: {
    sql: `SELECT p.name, p.city, p.state, a.id FROM auction a, person p
      WHERE a.seller = p.id AND a.category = 10 AND p.state IN ('OR', 'ID', 'CA')`,
  },
  q4: {
    sql: `SELECT category AS id, (sum(final) // count(*))::BIGINT AS final FROM (
        SELECT a.id, a.category, max(b.price) AS final FROM auction a JOIN bid b ON b.auction = a.id
        WHERE b.dateTime >= a.dateTime AND b.dateTime <= a.expires GROUP BY 1, 2
      ) GROUP BY 1`,
  },
  q5: {
    // A bid of second s is in the five windows that end after it, at even seconds.
    sql: `WITH counted AS (
        SELECT auction, w.ending AS ending, count(*) AS num
        FROM bid, LATERAL (SELECT (epoch_ms(dateTime) // 2000 + i) * 2000 AS ending FROM range(1, 6) r(i)) w
        GROUP BY ALL
      )
      SELECT auction, num FROM (SELECT *, max(num) OVER (PARTITION BY ending) AS most FROM counted) WHERE num = most`,
  },
  q6: {
    sql: `SELECT seller, (sum(price) OVER w // count(*) OVER w)::BIGINT AS avg_price FROM (
        SELECT a.id, a.seller, b.price, b.dateTime
        FROM auction a JOIN bid b ON b.auction = a.id AND b.dateTime >= a.dateTime AND b.dateTime <= a.expires
        QUALIFY row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.dateTime) = 1
      ) WINDOW w AS (PARTITION BY seller ORDER BY dateTime, id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW)`,
  },
  q7: {
    sql: `SELECT auction, bidder, price, dateTime, extra FROM (
        SELECT *, max(price) OVER (PARTITION BY epoch_ms(dateTime) // 10000) AS most FROM bid
      ) WHERE price = most`,
  },
  q8: {
    sql: `SELECT DISTINCT p.id, p.name, make_timestamp((epoch_ms(p.dateTime) // 10000) * 10000000) AS stime FROM person p, auction a
      WHERE a.seller = p.id AND epoch_ms(a.dateTime) // 10000 = epoch_ms(p.dateTime) // 10000`,
  },
  q9: {
    sql: `SELECT a.*, b.auction, b.bidder, b.price, b.dateTime AS bid_dateTime, b.extra AS bid_extra
      FROM auction a JOIN bid b ON b.auction = a.id AND b.dateTime BETWEEN a.dateTime AND a.expires
      QUALIFY row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.dateTime) = 1`,
  },
  q10: {
    sql: `SELECT auction, bidder, price, dateTime, extra, strftime(dateTime, '%Y-%m-%d') AS dt, strftime(dateTime, '%H:%M') AS hm FROM bid`,
  },
  q11: {
    // A session begins with a bid that is more than ten seconds behind the one before.
    sql: `SELECT bidder, count(*) AS bid_count, min(dateTime) AS starttime, max(dateTime) + INTERVAL 10 SECOND AS endtime FROM (
        SELECT bidder, dateTime, count(*) FILTER (WHERE first) OVER (PARTITION BY bidder ORDER BY dateTime) AS number FROM (
          SELECT bidder, dateTime, coalesce(dateTime - lag(dateTime) OVER (PARTITION BY bidder ORDER BY dateTime) > INTERVAL 10 SECOND, true) AS first
          FROM bid
        )
      ) GROUP BY bidder, number`,
  },
  // Which bids meet in ten seconds of the clock is open: how many each bidder made is not.
  q12: { sql: 'SELECT bidder, count(*) AS bid_count FROM bid GROUP BY bidder', determined: ['bidder', 'bid_count'] },
  // The table at the side has a row `i, i` for each of 10,000 keys.
  q13: {
    sql: `SELECT b.auction, b.bidder, b.price, b.dateTime, s.value FROM bid b
      JOIN (SELECT i AS key, CAST(i AS VARCHAR) AS value FROM range(10000) r(i)) s ON b.auction % 10000 = s.key`,
  },
  // The benchmark's hours leave 7 and 19 for other times.
  q14: {
    sql: `SELECT auction, bidder, CAST(0.908 * price AS VARCHAR) AS price,
      CASE WHEN hour(dateTime) >= 8 AND hour(dateTime) <= 18 THEN 'dayTime' WHEN hour(dateTime) <= 6 OR hour(dateTime) >= 20 THEN 'nightTime'
        ELSE 'otherTime' END AS bidTimeType,
      dateTime, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
      FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`,
  },
  q15: {
    sql: `SELECT strftime(dateTime, '%Y-%m-%d') AS day, ${ranks}, ${different('bidder')}, ${different('auction')} FROM bid GROUP BY 1`,
  },
  q16: {
    sql: `SELECT channel, strftime(dateTime, '%Y-%m-%d') AS day, max(strftime(dateTime, '%H:%M')) AS minute, ${ranks},
      ${different('bidder')}, ${different('auction')} FROM bid GROUP BY 1, 2`,
  },
  q17: {
    sql: `SELECT auction, strftime(dateTime, '%Y-%m-%d') AS day, ${ranks}, min(price) AS min_price, max(price) AS max_price,
      (sum(price) // count(*))::BIGINT AS avg_price, sum(price)::BIGINT AS sum_price FROM bid GROUP BY 1, 2`,
  },
  q18: {
    sql: `SELECT auction, bidder, price, channel, url, dateTime, extra FROM bid
      QUALIFY row_number() OVER (PARTITION BY bidder, auction ORDER BY dateTime DESC) = 1`,
    determined: ['auction', 'bidder', 'dateTime'],
  },
  q19: {
    sql: `SELECT auction, bidder, price, channel, url, dateTime, extra, rank_number FROM (
        SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid
      ) WHERE rank_number <= 10`,
    determined: ['auction', 'price', 'rank_number'],
  },
  q20: {
    sql: `SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.dateTime AS bid_dateTime, b.extra AS bid_extra, a.itemName,
      a.description, a.initialBid, a.reserve, a.dateTime AS auction_dateTime, a.expires, a.seller, a.category, a.extra AS auction_extra
      FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10`,
  },
  q21: {
    sql: `SELECT * FROM (
        SELECT auction, bidder, price, channel,
          CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
            ELSE CASE WHEN contains(url, '&channel_id=') THEN split_part(split_part(url, '&channel_id=', 2), '&', 1) END END AS channel_id
        FROM bid
      ) WHERE channel_id IS NOT NULL`,
  },
  q22: {
    sql: `SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2,
      split_part(url, '/', 6) AS dir3 FROM bid`,
  },
  q23: {
    sql: `SELECT b.bidder, b.price, b.channel, b.url, b.extra AS bid_extra, p.id AS person_id, p.name, p.emailAddress, p.creditCard,
      p.city, p.state, p.extra AS person_extra, a.itemName, a.description, a.initialBid, a.reserve, a.dateTime AS auction_dateTime,
      a.expires, a.seller, a.category, a.extra AS auction_extra
      FROM bid b, person p, auction a WHERE b.bidder = p.id AND b.bidder = a.seller`,
  },
};
