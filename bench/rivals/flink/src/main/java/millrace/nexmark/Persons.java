package millrace.nexmark;

import static millrace.nexmark.Chance.below;
import static millrace.nexmark.Chance.columnSeed;
import static millrace.nexmark.Chance.draw;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.TimestampData;

/** Persons: id, name, emailAddress, creditCard, city, state, dateTime, extra. */
final class Persons {
  private static final int AVERAGE_BYTES = 200;
  private static final int CARD_BYTES = 19;

  private final Shared shared;
  private final long names;
  private final long emails;
  private final long emailLetters;
  private final long cards;
  private final long cities;
  private final long states;
  private final long extras;

  Persons(Shared shared) {
    this.shared = shared;
    names = seed("name", "values");
    emails = seed("emailAddress", "values");
    emailLetters = seed("emailAddress", "letters");
    cards = seed("creditCard", "values");
    cities = seed("city", "values");
    states = seed("state", "values");
    extras = seed("extra", "values");
  }

  private long seed(String name, String purpose) {
    return columnSeed(shared.options.seed(), name, "nexmark person " + purpose);
  }

  GenericRowData row(long n) {
    long epoch = n / NexmarkOptions.EVENTS_PER_EPOCH;
    byte[] name = pick(Words.NAMES, draw(names, n));
    byte[] email = email(draw(emails, n), draw(emailLetters, n));
    byte[] city = pick(Words.CITIES, draw(cities, n));
    byte[] state = pick(Words.STATES, draw(states, n));
    int size = 8 + name.length + email.length + CARD_BYTES + city.length + state.length;
    GenericRowData row = new GenericRowData(8);
    row.setField(0, epoch + Shared.FIRST_ID);
    row.setField(1, Shared.text(name));
    row.setField(2, Shared.text(email));
    row.setField(3, Shared.text(card(draw(cards, n))));
    row.setField(4, Shared.text(city));
    row.setField(5, Shared.text(state));
    row.setField(6, TimestampData.fromEpochMillis(shared.time(n)));
    row.setField(7, shared.extra(draw(extras, n), size, AVERAGE_BYTES));
    return row;
  }

  private static byte[] pick(byte[][] table, long x) {
    return table[(int) below(x, table.length)].clone();
  }

  /** `name@host.com`. */
  private static byte[] email(long x, long letters) {
    int name = 3 + (int) (x & 3);
    int host = 3 + (int) (x >>> 2 & 1);
    byte[] text = new byte[name + 1 + host + 4];
    Words.word(text, 0, name, letters, ' ');
    text[name] = '@';
    Words.word(text, name + 1, host, ~letters, ' ');
    System.arraycopy(COM, 0, text, name + 1 + host, COM.length);
    return text;
  }

  private static final byte[] COM = Words.bytes(".com");

  /** Four times four digits, with blanks between. */
  private static byte[] card(long x) {
    byte[] text = new byte[CARD_BYTES];
    for (int i = 0; i < 20; i += 5) {
      int v = (int) ((x & 0xffff) * 10_000 >>> 16);
      x >>>= 16;
      text[i] = (byte) ('0' + v / 1000);
      text[i + 1] = (byte) ('0' + v / 100 % 10);
      text[i + 2] = (byte) ('0' + v / 10 % 10);
      text[i + 3] = (byte) ('0' + v % 10);
      if (i < 15) text[i + 4] = ' ';
    }
    return text;
  }
}
