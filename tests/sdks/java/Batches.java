import com.alicloud.openservices.tablestore.SyncClient;
import com.alicloud.openservices.tablestore.model.BatchGetRowRequest;
import com.alicloud.openservices.tablestore.model.BatchGetRowResponse;
import com.alicloud.openservices.tablestore.model.BatchWriteRowRequest;
import com.alicloud.openservices.tablestore.model.BatchWriteRowResponse;
import com.alicloud.openservices.tablestore.model.Error;
import com.alicloud.openservices.tablestore.model.MultiRowQueryCriteria;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The operations on many rows. */
final class Batches {
    private Batches() {}

    static Map<String, ?> get(SyncClient client, JsonObject step) {
        BatchGetRowRequest request = new BatchGetRowRequest();
        for (JsonElement element : step.getAsJsonArray("tables")) {
            JsonObject table = element.getAsJsonObject();
            MultiRowQueryCriteria criteria = new MultiRowQueryCriteria(Tables.name(table));
            table.getAsJsonArray("keys").forEach(key -> criteria.addRow(Values.readKey(key.getAsJsonArray())));
            Filters.apply(criteria, table.getAsJsonObject("read"));
            request.addMultiRowQueryCriteria(criteria);
        }
        Map<String, List<Object>> tables = new HashMap<>();
        client.batchGetRow(request).getTableToRowsResult().forEach((name, results) -> {
            List<Object> rows = tables.computeIfAbsent(name, n -> new ArrayList<>());
            for (BatchGetRowResponse.RowResult result : results) {
                rows.add(result.isSucceed() ? Rows.shown(result.getConsumedCapacity(), result.getRow()) : shown(result.getError()));
            }
        });
        return Map.of("tables", tables);
    }

    static Map<String, ?> write(SyncClient client, JsonObject step) {
        BatchWriteRowRequest request = new BatchWriteRowRequest();
        for (JsonElement element : step.getAsJsonArray("tables")) {
            JsonObject table = element.getAsJsonObject();
            for (JsonElement row : table.getAsJsonArray("rows")) {
                request.addRowChange(Rows.change(Tables.name(table), row.getAsJsonObject()));
            }
        }
        Map<String, List<Object>> tables = new HashMap<>();
        client.batchWriteRow(request).getRowStatus().forEach((name, results) -> {
            List<Object> rows = tables.computeIfAbsent(name, n -> new ArrayList<>());
            for (BatchWriteRowResponse.RowResult result : results) {
                rows.add(result.isSucceed() ? Rows.shown(result.getConsumedCapacity(), result.getRow()) : shown(result.getError()));
            }
        });
        return Map.of("tables", tables);
    }

    private static Map<String, ?> shown(Error error) {
        return Map.of("error", Map.of("code", error.getCode(), "message", error.getMessage()));
    }
}
