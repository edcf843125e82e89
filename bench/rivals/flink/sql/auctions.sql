-- Every auction, for the digest of the events.
SELECT id, itemName, description, initialBid, reserve, `dateTime`, expires, seller, category, extra FROM auction;
