import com.alicloud.openservices.tablestore.SyncClient;
import com.alicloud.openservices.tablestore.model.CapacityUnit;
import com.alicloud.openservices.tablestore.model.CreateTableRequest;
import com.alicloud.openservices.tablestore.model.DeleteTableRequest;
import com.alicloud.openservices.tablestore.model.DescribeTableRequest;
import com.alicloud.openservices.tablestore.model.DescribeTableResponse;
import com.alicloud.openservices.tablestore.model.PrimaryKeyOption;
import com.alicloud.openservices.tablestore.model.PrimaryKeySchema;
import com.alicloud.openservices.tablestore.model.PrimaryKeyType;
import com.alicloud.openservices.tablestore.model.ReservedThroughput;
import com.alicloud.openservices.tablestore.model.ReservedThroughputDetails;
import com.alicloud.openservices.tablestore.model.TableMeta;
import com.alicloud.openservices.tablestore.model.TableOptions;
import com.alicloud.openservices.tablestore.model.UpdateTableRequest;
import com.alicloud.openservices.tablestore.model.UpdateTableResponse;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** The operations on tables. */
final class Tables {
    private Tables() {}

    static Map<String, ?> create(SyncClient client, JsonObject step) {
        TableMeta meta = new TableMeta(name(step));
        for (JsonElement element : step.getAsJsonArray("schema")) {
            JsonArray column = element.getAsJsonArray();
            String name = column.get(0).getAsString();
            PrimaryKeyType type = PrimaryKeyType.valueOf(column.get(1).getAsString());
            if (column.size() > 2) {
                meta.addPrimaryKeyColumn(name, type, PrimaryKeyOption.valueOf(column.get(2).getAsString()));
            } else {
                meta.addPrimaryKeyColumn(name, type);
            }
        }
        ReservedThroughput throughput = new ReservedThroughput(0, 0);
        if (step.has("throughput")) {
            JsonArray units = step.getAsJsonArray("throughput");
            throughput = new ReservedThroughput(units.get(0).getAsInt(), units.get(1).getAsInt());
        }
        client.createTable(new CreateTableRequest(meta, options(step), throughput));
        return Map.of();
    }

    static Map<String, ?> update(SyncClient client, JsonObject step) {
        UpdateTableRequest request = new UpdateTableRequest(name(step));
        request.setTableOptionsForUpdate(options(step));
        UpdateTableResponse response = client.updateTable(request);
        return shown(response.getTableOptions(), response.getReservedThroughputDetails());
    }

    static Map<String, ?> describe(SyncClient client, JsonObject step) {
        DescribeTableResponse response = client.describeTable(new DescribeTableRequest(name(step)));
        List<List<String>> schema = new ArrayList<>();
        for (PrimaryKeySchema column : response.getTableMeta().getPrimaryKeyList()) {
            List<String> described = new ArrayList<>(List.of(column.getName(), column.getType().name()));
            if (column.hasOption()) {
                described.add(column.getOption().name());
            }
            schema.add(described);
        }
        Map<String, Object> outcome = shown(response.getTableOptions(), response.getReservedThroughputDetails());
        outcome.put("table", response.getTableMeta().getTableName());
        outcome.put("schema", schema);
        outcome.put("allow_update", response.getTableOptions().getAllowUpdate());
        return outcome;
    }

    static Map<String, ?> list(SyncClient client) {
        return Map.of("tables", new TreeSet<>(client.listTable().getTableNames()));
    }

    static Map<String, ?> delete(SyncClient client, JsonObject step) {
        client.deleteTable(new DeleteTableRequest(name(step)));
        return Map.of();
    }

    static String name(JsonObject part) {
        return part.get("table").getAsString();
    }

    private static TableOptions options(JsonObject step) {
        JsonObject described = step.getAsJsonObject("options");
        TableOptions options = new TableOptions(
                described.get("ttl").getAsInt(), described.get("max_versions").getAsInt(), described.get("deviation").getAsLong());
        if (described.has("allow_update")) {
            options.setAllowUpdate(described.get("allow_update").getAsBoolean());
        }
        return options;
    }

    private static Map<String, Object> shown(TableOptions options, ReservedThroughputDetails details) {
        Map<String, Object> outcome = new HashMap<>();
        outcome.put("ttl", options.getTimeToLive());
        outcome.put("max_versions", options.getMaxVersions());
        outcome.put("deviation", options.getMaxTimeDeviation());
        CapacityUnit units = details.getCapacityUnit();
        outcome.put("throughput", List.of(units.getReadCapacityUnit(), units.getWriteCapacityUnit()));
        return outcome;
    }
}
