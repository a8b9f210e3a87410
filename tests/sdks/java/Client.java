import com.alicloud.openservices.tablestore.ClientConfiguration;
import com.alicloud.openservices.tablestore.ClientException;
import com.alicloud.openservices.tablestore.SyncClient;
import com.alicloud.openservices.tablestore.TableStoreException;
import com.alicloud.openservices.tablestore.core.auth.CredentialsProvider;
import com.alicloud.openservices.tablestore.core.auth.DefaultCredentialProvider;
import com.alicloud.openservices.tablestore.core.auth.DefaultCredentials;
import com.alicloud.openservices.tablestore.core.auth.V4Credentials;
import com.alicloud.openservices.tablestore.model.RetryStrategy;
import com.alicloud.openservices.tablestore.model.search.ListSearchIndexRequest;
import com.aliyun.ots.thirdparty.org.apache.http.ConnectionClosedException;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * Runs the operation script of tests/sdks through the official Java SDK.
 *
 * <p>Reads {"server": …, "steps": […]} from standard input and prints {"step": name, "outcome": …} for each step. What the fields
 * of both mean stands in tests/sdks/README.md.
 */
public final class Client {
    /**
     * The status with which the program ends when the SDK lost a connection. It does so once in some thousand requests, while the
     * server had answered and closed nothing (seen with strace). A repeated step could be carried out twice.
     */
    private static final int TRY_AGAIN = 75;

    private Client() {}

    public static void main(String[] arguments) {
        JsonObject script =
                new JsonParser().parse(new InputStreamReader(System.in, StandardCharsets.UTF_8)).getAsJsonObject();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Map<JsonObject, SyncClient> clients = new HashMap<>();
        Gson gson = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
        for (JsonElement element : script.getAsJsonArray("steps")) {
            JsonObject step = element.getAsJsonObject();
            JsonObject server = script.getAsJsonObject("server").deepCopy();
            if (step.has("client")) {
                step.getAsJsonObject("client").entrySet().forEach(setting -> server.add(setting.getKey(), setting.getValue()));
            }
            JsonObject line = new JsonObject();
            line.add("step", step.get("name"));
            SyncClient client = clients.computeIfAbsent(server, Client::connect);
            line.add("outcome", gson.toJsonTree(outcome(client, step)));
            out.println(gson.toJson(line));
        }
        System.exit(0); // the SDK's threads would go on
    }

    private static Map<String, ?> outcome(SyncClient client, JsonObject step) {
        try {
            return perform(client, step);
        } catch (TableStoreException e) {
            return Map.of("error", Map.of("status", e.getHttpStatus(), "code", e.getErrorCode(), "message", e.getMessage()));
        } catch (ClientException e) {
            // The SDK gives the cause as a text only.
            if (e.getMessage().contains(ConnectionClosedException.class.getName())) {
                System.err.println("the Java client: " + step.get("name") + ": " + e);
                System.exit(TRY_AGAIN);
            }
            return Map.of("client_error", e.toString());
        } catch (IllegalArgumentException e) {
            return Map.of("client_error", e.toString());
        }
    }

    private static SyncClient connect(JsonObject server) {
        String id = server.get("access_key_id").getAsString();
        String secret = server.get("access_key_secret").getAsString();
        CredentialsProvider provider = new DefaultCredentialProvider(id, secret);
        if (server.has("region")) {
            DefaultCredentials key = new DefaultCredentials(id, secret);
            provider = new DefaultCredentialProvider(V4Credentials.createByServiceCredentials(key, server.get("region").getAsString()));
        }
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setRetryStrategy(new NoRetries());
        configuration.setEnableResponseContentMD5Checking(true);
        configuration.setEnableRequestCompression(server.has("compression"));
        configuration.setEnableResponseCompression(server.has("compression"));
        return new SyncClient(
                server.get("end_point").getAsString(), provider, server.get("instance").getAsString(), configuration, null);
    }

    /** The first answer is the outcome. */
    private static final class NoRetries implements RetryStrategy {
        @Override
        public RetryStrategy clone() {
            return this;
        }

        @Override
        public int getRetries() {
            return 0;
        }

        @Override
        public long nextPause(String action, Exception e) {
            return 0;
        }
    }

    private static Map<String, ?> perform(SyncClient client, JsonObject step) {
        String operation = step.get("op").getAsString();
        switch (operation) {
            case "CreateTable":
                return Tables.create(client, step);
            case "UpdateTable":
                return Tables.update(client, step);
            case "DescribeTable":
                return Tables.describe(client, step);
            case "ListTable":
                return Tables.list(client);
            case "DeleteTable":
                return Tables.delete(client, step);
            case "PutRow":
                return Rows.put(client, step);
            case "UpdateRow":
                return Rows.update(client, step);
            case "DeleteRow":
                return Rows.delete(client, step);
            case "GetRow":
                return Rows.get(client, step);
            case "GetRange":
                return Rows.range(client, step);
            case "BatchGetRow":
                return Batches.get(client, step);
            case "BatchWriteRow":
                return Batches.write(client, step);
            case "ListSearchIndex":
                ListSearchIndexRequest request = new ListSearchIndexRequest();
                request.setTableName(step.get("table").getAsString());
                client.listSearchIndex(request);
                return Map.of();
            default:
                throw new IllegalStateException("the script asks for an unknown operation " + operation);
        }
    }
}
