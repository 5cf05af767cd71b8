// Follows a plan, and changes a budget, with Automerge for Java (https://github.com/automerge/automerge-java, org.automerge:automerge:0.0.9)
// on Java 11 or later.
//
//     PlanKt                      prints the positions whenever they change
//     PlanKt 28f6d1a4b9c073 42    sets a budget as soon as the plan has arrived
//
// One WebSocket carries one document, and every binary frame is one sync message: see docs/sync.md.

import java.io.ByteArrayOutputStream
import java.net.URI
import java.net.http.HttpClient
import java.net.http.WebSocket
import java.nio.ByteBuffer
import java.util.Date
import java.util.concurrent.CompletableFuture
import java.util.concurrent.CompletionStage
import kotlin.jvm.optionals.getOrNull
import org.automerge.AmValue
import org.automerge.Document
import org.automerge.NewValue
import org.automerge.ObjectId
import org.automerge.SyncState

private class Plan(private val position: String?, private val budget: Double?) : WebSocket.Listener {
    private val document = Document()
    private val state = SyncState()
    private val message = ByteArrayOutputStream()
    private var sent: CompletableFuture<*> = CompletableFuture.completedFuture(null)
    private var isEdited = false
    val closed = CompletableFuture<String>()

    override fun onOpen(socket: WebSocket) {
        send(socket)
        socket.request(1)
    }

    /** A large message arrives in several parts. */
    override fun onBinary(socket: WebSocket, part: ByteBuffer, isLast: Boolean): CompletionStage<*>? {
        val bytes = ByteArray(part.remaining()).also(part::get)
        message.write(bytes)
        if (isLast) {
            document.receiveSyncMessage(state, message.toByteArray())
            message.reset()
            if (position == null) printPositions() else setBudget(position)
            send(socket)
        }
        socket.request(1)
        return null
    }

    override fun onClose(socket: WebSocket, code: Int, reason: String): CompletionStage<*>? {
        closed.complete("$code $reason")
        return null
    }

    override fun onError(socket: WebSocket, error: Throwable) {
        closed.completeExceptionally(error)
    }

    private fun send(socket: WebSocket) {
        while (true) {
            val next = document.generateSyncMessage(state).getOrNull() ?: return
            // One at a time: the socket takes the next message when it has sent this one.
            sent = sent.thenCompose { socket.sendBinary(ByteBuffer.wrap(next), true) }
        }
    }

    private fun map(parent: ObjectId, key: String) = (document.get(parent, key).getOrNull() as? AmValue.Map)?.id

    private fun printPositions() {
        val positions = map(ObjectId.ROOT, "positions") ?: return
        for (id in document.keys(positions).getOrNull().orEmpty()) {
            val row = map(positions, id) ?: continue
            println("$id ${document.get(row, "designation").getOrNull()} ${document.get(row, "budget").getOrNull()}")
        }
    }

    /** Assigns fields, and never a whole position: a concurrent edit of another field then stays. */
    private fun setBudget(id: String) {
        val row = map(ObjectId.ROOT, "positions")?.let { map(it, id) } ?: return
        if (isEdited || budget == null) return
        document.startTransaction().use { change ->
            change.set(row, "budget", budget)
            change.set(row, "updatedAt", NewValue.timestamp(Date()))
            change.commit()
        }
        isEdited = true
    }
}

fun main(arguments: Array<String>) {
    val plan = Plan(arguments.getOrNull(0), arguments.getOrNull(1)?.toDouble())
    val server = System.getenv("HAPPIERWORK_SYNC") ?: "ws://127.0.0.1:8000"
    val builder = HttpClient.newHttpClient().newWebSocketBuilder()
    System.getenv("HAPPIERWORK_TOKEN")?.let { builder.header("Authorization", "Bearer $it") }
    builder.buildAsync(URI.create("$server/sync/default"), plan).join()
    println(plan.closed.join())
}
