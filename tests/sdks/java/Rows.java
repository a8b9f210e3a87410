import com.alicloud.openservices.tablestore.SyncClient;
import com.alicloud.openservices.tablestore.model.CapacityUnit;
import com.alicloud.openservices.tablestore.model.Column;
import com.alicloud.openservices.tablestore.model.ConsumedCapacity;
import com.alicloud.openservices.tablestore.model.DeleteRowRequest;
import com.alicloud.openservices.tablestore.model.DeleteRowResponse;
import com.alicloud.openservices.tablestore.model.Direction;
import com.alicloud.openservices.tablestore.model.GetRangeRequest;
import com.alicloud.openservices.tablestore.model.GetRangeResponse;
import com.alicloud.openservices.tablestore.model.GetRowRequest;
import com.alicloud.openservices.tablestore.model.GetRowResponse;
import com.alicloud.openservices.tablestore.model.PrimaryKey;
import com.alicloud.openservices.tablestore.model.PutRowRequest;
import com.alicloud.openservices.tablestore.model.PutRowResponse;
import com.alicloud.openservices.tablestore.model.RangeRowQueryCriteria;
import com.alicloud.openservices.tablestore.model.ReturnType;
import com.alicloud.openservices.tablestore.model.Row;
import com.alicloud.openservices.tablestore.model.RowChange;
import com.alicloud.openservices.tablestore.model.RowDeleteChange;
import com.alicloud.openservices.tablestore.model.RowPutChange;
import com.alicloud.openservices.tablestore.model.RowUpdateChange;
import com.alicloud.openservices.tablestore.model.SingleRowQueryCriteria;
import com.alicloud.openservices.tablestore.model.UpdateRowRequest;
import com.alicloud.openservices.tablestore.model.UpdateRowResponse;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The operations on rows, and the changes of batches. */
final class Rows {
    private Rows() {}

    static Map<String, ?> put(SyncClient client, JsonObject step) {
        PutRowResponse response = client.putRow(new PutRowRequest(putChange(Tables.name(step), step)));
        return shown(response.getConsumedCapacity(), response.getRow());
    }

    static Map<String, ?> update(SyncClient client, JsonObject step) {
        UpdateRowResponse response = client.updateRow(new UpdateRowRequest(updateChange(Tables.name(step), step)));
        return shown(response.getConsumedCapacity(), response.getRow());
    }

    static Map<String, ?> delete(SyncClient client, JsonObject step) {
        DeleteRowResponse response = client.deleteRow(new DeleteRowRequest(deleteChange(Tables.name(step), step)));
        return shown(response.getConsumedCapacity(), response.getRow());
    }

    static Map<String, ?> get(SyncClient client, JsonObject step) {
        SingleRowQueryCriteria criteria =
                new SingleRowQueryCriteria(Tables.name(step), Values.readKey(step.getAsJsonArray("key")));
        Filters.apply(criteria, step.getAsJsonObject("read"));
        GetRowResponse response = client.getRow(new GetRowRequest(criteria));
        return shown(response.getConsumedCapacity(), response.getRow());
    }

    static Map<String, ?> range(SyncClient client, JsonObject step) {
        RangeRowQueryCriteria criteria = new RangeRowQueryCriteria(Tables.name(step));
        criteria.setDirection(Direction.valueOf(step.get("direction").getAsString()));
        criteria.setInclusiveStartPrimaryKey(Values.readKey(step.getAsJsonArray("from")));
        criteria.setExclusiveEndPrimaryKey(Values.readKey(step.getAsJsonArray("to")));
        if (step.has("limit")) {
            criteria.setLimit(step.get("limit").getAsInt());
        }
        Filters.apply(criteria, step.getAsJsonObject("read"));
        GetRangeResponse response = client.getRange(new GetRangeRequest(criteria));
        List<Object> rows = new ArrayList<>();
        response.getRows().forEach(row -> rows.add(shownRow(row)));
        Map<String, Object> outcome = new HashMap<>();
        outcome.put("consumed", shownConsumed(response.getConsumedCapacity()));
        outcome.put("rows", rows);
        PrimaryKey next = response.getNextStartPrimaryKey();
        outcome.put("next", next == null ? null : Values.shownKey(next));
        return outcome;
    }

    /** Gives a write of a batch. */
    static RowChange change(String table, JsonObject write) {
        switch (write.get("op").getAsString()) {
            case "PutRow":
                return putChange(table, write);
            case "UpdateRow":
                return updateChange(table, write);
            default:
                return deleteChange(table, write);
        }
    }

    private static RowPutChange putChange(String table, JsonObject write) {
        RowPutChange change = complete(new RowPutChange(table), write);
        for (JsonElement column : write.getAsJsonArray("columns")) {
            change.addColumn(column(column.getAsJsonArray(), 0));
        }
        return change;
    }

    private static RowUpdateChange updateChange(String table, JsonObject write) {
        RowUpdateChange change = complete(new RowUpdateChange(table), write);
        for (JsonElement element : write.getAsJsonArray("changes")) {
            JsonArray described = element.getAsJsonArray();
            String name = described.get(1).getAsString();
            switch (described.get(0).getAsString()) {
                case "put":
                    change.put(column(described, 1));
                    break;
                case "increment":
                    change.increment(column(described, 1));
                    break;
                default:
                    if (described.size() > 2) {
                        change.deleteColumn(name, described.get(2).getAsLong());
                    } else {
                        change.deleteColumns(name);
                    }
            }
        }
        return change;
    }

    private static RowDeleteChange deleteChange(String table, JsonObject write) {
        return complete(new RowDeleteChange(table), write);
    }

    private static <C extends RowChange> C complete(C change, JsonObject write) {
        change.setPrimaryKey(Values.readKey(write.getAsJsonArray("key")));
        change.setCondition(Filters.condition(write));
        JsonElement wanted = write.get("return");
        if (wanted != null && wanted.isJsonArray()) {
            change.setReturnType(ReturnType.RT_AFTER_MODIFY);
            wanted.getAsJsonArray().forEach(name -> change.addReturnColumn(name.getAsString()));
        } else if (wanted != null) {
            change.setReturnType(ReturnType.RT_PK);
        }
        return change;
    }

    /** Reads a column: name, value and perhaps time, from a place of a list on. */
    private static Column column(JsonArray described, int at) {
        String name = described.get(at).getAsString();
        String value = described.get(at + 1).getAsString();
        if (described.size() > at + 2) {
            return new Column(name, Values.read(value), described.get(at + 2).getAsLong());
        }
        return new Column(name, Values.read(value));
    }

    static Map<String, Object> shown(ConsumedCapacity consumed, Row row) {
        Map<String, Object> outcome = new HashMap<>();
        outcome.put("consumed", shownConsumed(consumed));
        outcome.put("row", shownRow(row));
        return outcome;
    }

    private static List<Integer> shownConsumed(ConsumedCapacity consumed) {
        CapacityUnit units = consumed.getCapacityUnit();
        return List.of(units.getReadCapacityUnit(), units.getWriteCapacityUnit());
    }

    private static Map<String, ?> shownRow(Row row) {
        if (row == null) {
            return null;
        }
        List<List<?>> columns = new ArrayList<>();
        for (Column column : row.getColumns()) {
            columns.add(List.of(column.getName(), Values.shown(column.getValue()), column.getTimestamp()));
        }
        return Map.of("key", Values.shownKey(row.getPrimaryKey()), "columns", columns);
    }
}
