-- Every person, for the digest of the events.
SELECT id, name, emailAddress, creditCard, city, state, `dateTime`, extra FROM person;
