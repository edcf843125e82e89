package millrace.nexmark;

import org.apache.flink.table.functions.ScalarFunction;

/** Query 14: how often a character stands in a text. */
public final class CountChar extends ScalarFunction {
  private static final long serialVersionUID = 1;

  public long eval(String text, String character) {
    char wanted = character.charAt(0);
    long count = 0;
    for (int i = 0; i < text.length(); i++) if (text.charAt(i) == wanted) count++;
    return count;
  }
}
