using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// Writes Hugging Face folders: <c>config.json</c> and <c>model.safetensors</c>, or shards with their index. Each file appears in one step and the
/// configuration last; within <see cref="AtomicFile.CreateFolder"/>, which other files of the folder can join, the folder as a whole does.
/// </summary>
public static class CheckpointWriter
{
    /// <summary>What transformers looks for in a header before it loads a file.</summary>
    public static readonly IReadOnlyDictionary<string, string> Metadata = new Dictionary<string, string> { ["format"] = "pt" };

    /// <summary>The largest shard unless said otherwise: 5 GB, as transformers 4.</summary>
    public const long DefaultMaxShardBytes = 5_000_000_000;

    /// <summary>
    /// Writes a checkpoint into <paramref name="folder"/>, which holds no other weights. <paramref name="configJson"/> names the type of
    /// <paramref name="tensors"/> (<see cref="ModelConfig.ToJson"/>). A tensor larger than <paramref name="maxShardBytes"/> gets a shard of its own.
    /// </summary>
    /// <exception cref="InputException">The folder has weights already, or cannot be written.</exception>
    public static void Write(string folder, string configJson, IReadOnlyCollection<TensorSource> tensors, long maxShardBytes = DefaultMaxShardBytes)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxShardBytes);
        if (Directory.Exists(folder) && Directory.EnumerateFiles(folder, "model*.safetensors*").Any())
            throw new InputException($"{folder} holds weights already; name another folder");
        List<List<TensorSource>> shards = Split(tensors, maxShardBytes);
        if (shards.Count == 1) SafeTensorsWriter.Write(Path.Combine(folder, Checkpoint.SingleFile), shards[0], Metadata);
        else WriteShards(folder, shards);
        AtomicFile.WriteText(Path.Combine(folder, ModelConfig.FileName), configJson);
    }

    private static List<List<TensorSource>> Split(IReadOnlyCollection<TensorSource> tensors, long maxShardBytes)
    {
        List<List<TensorSource>> shards = [[]];
        long bytes = 0;
        foreach (TensorSource tensor in tensors)
        {
            if (shards[^1].Count > 0 && tensor.Bytes > maxShardBytes - bytes)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(tensor);
            bytes += tensor.Bytes;
        }

        return shards;
    }

    private static void WriteShards(string folder, List<List<TensorSource>> shards)
    {
        SortedDictionary<string, string> map = new(StringComparer.Ordinal);
        long total = 0;
        for (int i = 0; i < shards.Count; i++)
        {
            string name = $"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors";
            SafeTensorsWriter.Write(Path.Combine(folder, name), shards[i], Metadata);
            foreach (TensorSource tensor in shards[i])
            {
                if (!map.TryAdd(tensor.Name, name)) throw new ArgumentException($"two tensors are named {tensor.Name}");
                total += tensor.Bytes;
            }
        }

        JsonObject index = new()
        {
            ["metadata"] = new JsonObject { ["total_size"] = total },
            ["weight_map"] = new JsonObject(map.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))),
        };
        string json = index.ToJsonString(new JsonSerializerOptions { WriteIndented = true });
        AtomicFile.WriteText(Path.Combine(folder, Checkpoint.IndexFile), json + "\n");
    }
}
