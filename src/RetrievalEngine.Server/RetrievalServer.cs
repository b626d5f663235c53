using System;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RetrievalEngine.Data;
using RetrievalEngine.Indexing;
using RetrievalEngine.Server.Http;

namespace RetrievalEngine.Server;

/// <summary>
/// Embeddings, scores and search over HTTP, in the words of OpenAI, text-embeddings-inference, Jina and Cohere: requests are tokenised side by side, and one device
/// computes for all of them in batches by tokens.
/// </summary>
public sealed class RetrievalServer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly RequestPipeline _pipeline;
    private readonly SemaphoreSlim _device;
    private readonly Embedder? _embedder;
    private readonly PairScorer? _scorer;
    private readonly Searcher? _searcher;

    private RetrievalServer(WebApplication application, RequestPipeline pipeline, SemaphoreSlim device, Embedder? embedder, PairScorer? scorer, Searcher? searcher) =>
        (_application, _pipeline, _device, _embedder, _scorer, _searcher) = (application, pipeline, device, embedder, scorer, searcher);

    /// <summary>Where it listens: <c>http://127.0.0.1:8080</c>.</summary>
    public string Url { get; private set; } = "";

    /// <summary>Listens, and answers until it is disposed.</summary>
    /// <exception cref="InputException">The address cannot be listened on.</exception>
    public static async Task<RetrievalServer> StartAsync(ServedModels models, ServerOptions options, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(models);
        ArgumentNullException.ThrowIfNull(options);
        if (models.Encoder is null && models.Reranker is null) throw new ArgumentException("there is no model to serve", nameof(models));
        if (models.Index is not null && models.Encoder is null) throw new ArgumentException("an index needs the encoder of its queries", nameof(models));
        if (!IPAddress.TryParse(options.Host == "localhost" ? "127.0.0.1" : options.Host, out IPAddress? address))
            throw new InputException($"{options.Host} is not an IP address to listen on; 0.0.0.0 is every address of this machine");

        RetrievalServer server = Create(models, options, address);
        try
        {
            await server.WarmUpAsync(cancellation).ConfigureAwait(false);
            await server._application.StartAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await server.DisposeAsync().ConfigureAwait(false);
            if (e is RequestException) throw new InputException(e.Message, e);
            if (e is System.IO.IOException or SocketException) throw new InputException($"{options.Host}:{options.Port} cannot be listened on: {e.GetBaseException().Message}", e);
            throw;
        }

        server.Url = server._application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return server;
    }

    /// <summary>Takes no new requests, finishes those under way, as long as the options give them, and stops listening.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_pipeline.IsStopping) return;
        _pipeline.IsStopping = true;
        await _application.StopAsync().ConfigureAwait(false);
        await _application.DisposeAsync().ConfigureAwait(false);
        if (_embedder is not null) await _embedder.DisposeAsync().ConfigureAwait(false);
        if (_scorer is not null) await _scorer.DisposeAsync().ConfigureAwait(false);
        if (_searcher is not null) await _searcher.DisposeAsync().ConfigureAwait(false);
        // Whose time was over has been cancelled, but may still be reading what the caller disposes next.
        await _pipeline.EmptyAsync().ConfigureAwait(false);
        _device.Dispose();
    }

    /// <summary>Everything computes once, so that what it takes of the device is taken, or found missing, before the first request.</summary>
    private async Task WarmUpAsync(CancellationToken cancellation)
    {
        if (_embedder is not null)
        {
            Computed<float[]> made = await _embedder.EmbedAsync(new TextInput(["a"], null), TextRole.Query, _embedder.Form, true, cancellation).ConfigureAwait(false);
            if (_searcher is { Manifest.Rows: > 0 }) await _searcher.SearchAsync(made.Values, 1, new RankOptions(), cancellation).ConfigureAwait(false);
        }

        if (_scorer is not null) await _scorer.ScoreAsync("a", [new Document("", "", "a")], true, cancellation).ConfigureAwait(false);
    }

    private static RetrievalServer Create(ServedModels models, ServerOptions options, IPAddress address)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.ShutdownTimeout);
        // Signals are the host program's.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
            kestrel.Listen(address, options.Port);
        });
        WebApplication application = builder.Build();

        ServerMetrics metrics = new();
        SemaphoreSlim device = new(1);
        OperationRoutes? operations = null;
        void Computed(int items, long tokens)
        {
            metrics.Batch(items, tokens);
            operations!.Prove();
        }

        Embedder? embedder = models.Encoder is { } encoder ? new Embedder(encoder, options.MaxQueuedTokens, device, Computed) : null;
        PairScorer? scorer = models.Reranker is { } reranker ? new PairScorer(reranker, options.MaxQueuedTokens, device, Computed) : null;
        Searcher? searcher = models.Index is { } index ? new Searcher(index, device) : null;
        RequestPipeline pipeline = new(options, models.Device, metrics);
        operations = new OperationRoutes(models, options, pipeline, metrics, embedder, scorer, searcher);
        operations.Map(application);
        if (embedder is not null)
        {
            Texts texts = new(models, embedder, options);
            OpenAiRoutes.Map(application, pipeline, texts);
            TeiRoutes.Map(application, pipeline, texts);
            if (searcher is not null) new SearchRoutes(texts, searcher, scorer, models, options).Map(application, pipeline);
        }

        if (scorer is not null) RerankRoutes.Map(application, pipeline, scorer, models, options);
        application.MapFallback(pipeline.NotFoundAsync);
        return new RetrievalServer(application, pipeline, device, embedder, scorer, searcher);
    }

    /// <summary>A life that ends when the server is disposed and not by signals.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
