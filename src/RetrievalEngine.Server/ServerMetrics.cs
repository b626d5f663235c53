using System;
using System.Collections.Concurrent;
using System.Globalization;
using System.Linq;
using System.Text;

namespace RetrievalEngine.Server;

/// <summary>What the server counts, under the names of text-embeddings-inference, so that its dashboards work.</summary>
internal sealed class ServerMetrics
{
    private readonly ConcurrentDictionary<string, long> _counters = new(StringComparer.Ordinal);
    private readonly Histogram _duration = Duration("te_request_duration"), _tokenization = Duration("te_request_tokenization_duration"),
        _queue = Duration("te_request_queue_duration"), _inference = Duration("te_request_inference_duration"),
        _length = Size("te_request_input_length"), _batchSize = Size("te_batch_next_size"), _batchTokens = Size("te_batch_next_tokens");

    /// <summary>A request came.</summary>
    public void Begin(string method) => Count($"te_request_count{{method=\"{method}\"}}");

    /// <summary>It was answered.</summary>
    public void Succeed(string method, TimeSpan time)
    {
        Count($"te_request_success{{method=\"{method}\"}}");
        _duration.Observe(time.TotalSeconds);
    }

    /// <summary>It was refused, or failed.</summary>
    public void Fail(string error) => Count($"te_request_failure{{err=\"{error}\"}}");

    /// <summary>What the model's part of a request took.</summary>
    public void Computed(long tokens, TimeSpan tokenized, TimeSpan queued, TimeSpan computed)
    {
        _length.Observe(tokens);
        _tokenization.Observe(tokenized.TotalSeconds);
        _queue.Observe(queued.TotalSeconds);
        _inference.Observe(computed.TotalSeconds);
    }

    /// <summary>A batch was computed.</summary>
    public void Batch(int items, long tokens)
    {
        _batchSize.Observe(items);
        _batchTokens.Observe(tokens);
    }

    /// <summary>All of it in Prometheus' text format.</summary>
    public string Write(int waiting)
    {
        StringBuilder text = new();
        foreach (IGrouping<string, string> metric in _counters.Keys.Order(StringComparer.Ordinal).GroupBy(static key => key[..key.IndexOf('{', StringComparison.Ordinal)]))
        {
            text.Append(CultureInfo.InvariantCulture, $"# TYPE {metric.Key} counter\n");
            foreach (string key in metric) text.Append(CultureInfo.InvariantCulture, $"{key} {_counters[key]}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"# TYPE te_queue_size gauge\nte_queue_size {waiting}\n");
        foreach (Histogram histogram in (Histogram[])[_duration, _tokenization, _queue, _inference, _length, _batchSize, _batchTokens]) histogram.Write(text);
        return text.ToString();
    }

    private static Histogram Duration(string name) => new(name, Histogram.Durations);

    private static Histogram Size(string name) => new(name, Histogram.Sizes);

    private void Count(string key) => _counters.AddOrUpdate(key, 1, static (_, count) => count + 1);
}
