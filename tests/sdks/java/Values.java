import com.alicloud.openservices.tablestore.model.ColumnValue;
import com.alicloud.openservices.tablestore.model.PrimaryKey;
import com.alicloud.openservices.tablestore.model.PrimaryKeyBuilder;
import com.alicloud.openservices.tablestore.model.PrimaryKeyColumn;
import com.alicloud.openservices.tablestore.model.PrimaryKeyValue;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** Values of the script as the SDK has them, and back. */
final class Values {
    /** How many bytes of a value an outcome shows if they are not all the same. */
    private static final int LONGEST = 100;

    private Values() {}

    static ColumnValue read(String text) {
        if (text.startsWith("s*")) {
            return ColumnValue.fromString("a".repeat(Integer.parseInt(text.substring(2))));
        }
        if (text.startsWith("x*")) {
            return ColumnValue.fromBinary("a".repeat(Integer.parseInt(text.substring(2))).getBytes(StandardCharsets.US_ASCII));
        }
        String rest = text.substring(2);
        switch (text.substring(0, 2)) {
            case "s:":
                return ColumnValue.fromString(rest);
            case "i:":
                return ColumnValue.fromLong(Long.parseLong(rest));
            case "d:":
                return ColumnValue.fromDouble(Double.parseDouble(rest));
            case "b:":
                return ColumnValue.fromBoolean(Boolean.parseBoolean(rest));
            case "x:":
                return ColumnValue.fromBinary(HexFormat.of().parseHex(rest));
            default:
                throw new IllegalStateException("the script has an unknown value " + text);
        }
    }

    static PrimaryKey readKey(JsonArray columns) {
        PrimaryKeyBuilder key = PrimaryKeyBuilder.createPrimaryKeyBuilder();
        for (JsonElement column : columns) {
            String name = column.getAsJsonArray().get(0).getAsString();
            key.addPrimaryKeyColumn(name, readKeyValue(column.getAsJsonArray().get(1).getAsString()));
        }
        return key.build();
    }

    private static PrimaryKeyValue readKeyValue(String text) {
        switch (text) {
            case "min":
                return PrimaryKeyValue.INF_MIN;
            case "max":
                return PrimaryKeyValue.INF_MAX;
            case "auto":
                return PrimaryKeyValue.AUTO_INCREMENT;
            default:
                return PrimaryKeyValue.fromColumn(read(text));
        }
    }

    /** Gives a value as the script writes it. */
    static String shown(ColumnValue value) {
        switch (value.getType()) {
            case STRING:
                return shownText(value.asString());
            case INTEGER:
                return "i:" + value.asLong();
            case DOUBLE:
                return "d:" + value.asDouble();
            case BOOLEAN:
                return "b:" + value.asBoolean();
            case BINARY:
                return shownBytes(value.asBinary());
            default:
                return "a value of the type " + value.getType();
        }
    }

    static List<List<String>> shownKey(PrimaryKey key) {
        List<List<String>> columns = new ArrayList<>();
        for (PrimaryKeyColumn column : key.getPrimaryKeyColumns()) {
            columns.add(List.of(column.getName(), shownKeyValue(column.getValue())));
        }
        return columns;
    }

    private static String shownKeyValue(PrimaryKeyValue value) {
        switch (value.getType()) {
            case STRING:
                return shownText(value.asString());
            case INTEGER:
                return "i:" + value.asLong();
            default:
                return shownBytes(value.asBinary());
        }
    }

    private static String shownText(String text) {
        return isRun(text) ? "s*" + text.length() : "s:" + text;
    }

    private static String shownBytes(byte[] bytes) {
        String text = new String(bytes, StandardCharsets.ISO_8859_1);
        return isRun(text) ? "x*" + text.length() : "x:" + HexFormat.of().formatHex(bytes);
    }

    private static boolean isRun(String text) {
        return text.length() > LONGEST && text.chars().allMatch(letter -> letter == 'a');
    }
}
