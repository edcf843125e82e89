-- Side input.
CREATE TABLE side_input (key BIGINT, `value` VARCHAR) WITH ('connector' = 'side');

CREATE VIEW bid_by_clock AS SELECT auction, bidder, price, `dateTime`, PROCTIME() AS arrived FROM bid;

SELECT b.auction, b.bidder, b.price, b.`dateTime`, s.`value`
FROM bid_by_clock AS b
JOIN side_input FOR SYSTEM_TIME AS OF b.arrived AS s ON MOD(b.auction, 10000) = s.key;
