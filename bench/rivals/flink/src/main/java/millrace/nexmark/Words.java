package millrace.nexmark;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The texts of events, as bytes: tables that texts are taken from, and words of letters drawn by chance. */
final class Words {
  static final byte[][] STATES = bytes("AZ", "CA", "ID", "OR", "WA", "WY");
  static final byte[][] CITIES =
      bytes(
          "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent",
          "Cheyenne");
  static final byte[][] NAMES = names();
  static final byte[][] HOT_CHANNELS = bytes("Google", "Facebook", "Baidu", "Apple");

  private Words() {}

  static byte[][] bytes(String... texts) {
    byte[][] all = new byte[texts.length][];
    for (int i = 0; i < texts.length; i++) all[i] = bytes(texts[i]);
    return all;
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[][] names() {
    String[] firsts = {
      "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"
    };
    String[] lasts = {"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"};
    List<String> all = new ArrayList<>();
    for (String first : firsts) for (String last : lasts) all.add(first + " " + last);
    return bytes(all.toArray(String[]::new));
  }

  /** Letters, and the special character once in 13 but never at an end: four to a draw, 16 bits each. */
  static void word(byte[] to, int at, int length, long seed, char special) {
    long bits = 0;
    for (int i = 0; i < length; i++) {
      if ((i & 3) == 0) bits = Chance.draw(seed, i >> 2);
      int v = (int) ((bits & 0xffff) * 338 >>> 16);
      bits >>>= 16;
      boolean plain = v >= 26 || i == 0 || i == length - 1;
      to[at + i] = (byte) (plain ? 'a' + v % 26 : special);
    }
  }

  /** Of a word of 3 to max − 1 characters. */
  static int wordLength(long x, int max) {
    return 3 + (int) Chance.below(x, max - 3);
  }

  static byte[] word(long lengths, long letters, int max) {
    byte[] text = new byte[wordLength(lengths, max)];
    word(text, 0, text.length, letters, ' ');
    return text;
  }
}
