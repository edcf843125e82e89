-- Every bid, for the digest of the events.
SELECT auction, bidder, price, channel, url, `dateTime`, extra FROM bid;
