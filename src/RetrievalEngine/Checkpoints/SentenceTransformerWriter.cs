using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using System.Text.Json.Nodes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// Writes the small files that make a checkpoint a sentence-transformers folder, in the older layout, which every version of sentence-transformers
/// loads and <see cref="SentenceTransformerFolder.Find"/> reads back.
/// </summary>
public static class SentenceTransformerWriter
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <summary>
    /// Writes <c>modules.json</c>, the modules' folders and configurations into <paramref name="folder"/>; <paramref name="dimensions"/> is the
    /// hidden size. The weights of Dense modules are not written here.
    /// </summary>
    /// <exception cref="ArgumentException">The folder's own maximum length is not known: older versions need one.</exception>
    /// <exception cref="InputException">A file cannot be written.</exception>
    public static void Write(string folder, SentenceTransformerFolder modules, int dimensions)
    {
        ArgumentNullException.ThrowIfNull(modules);
        int length = modules.MaxSeqLength ?? throw new ArgumentException("the maximum length must be known");
        JsonObject pooling = new()
        {
            ["word_embedding_dimension"] = dimensions,
            ["pooling_mode_cls_token"] = modules.Pooling == Pooling.Cls,
            ["pooling_mode_mean_tokens"] = modules.Pooling == Pooling.Mean,
            ["pooling_mode_max_tokens"] = modules.Pooling == Pooling.Max,
            ["pooling_mode_mean_sqrt_len_tokens"] = false,
        };
        // Versions before 2.2 and 2.3 refuse fields that they do not know.
        if (modules.Pooling == Pooling.WeightedMean) pooling["pooling_mode_weightedmean_tokens"] = true;
        if (modules.Pooling == Pooling.Last) pooling["pooling_mode_lasttoken"] = true;
        Save(folder, Path.Combine("1_Pooling", "config.json"), pooling);
        Save(folder, "sentence_bert_config.json", new JsonObject { ["max_seq_length"] = length, ["do_lower_case"] = false });
        JsonObject prompts = [];
        if (modules.QueryPrompt.Length > 0) prompts["query"] = modules.QueryPrompt;
        if (modules.PassagePrompt.Length > 0) prompts["document"] = modules.PassagePrompt;
        Save(folder, "config_sentence_transformers.json", new JsonObject
        {
            ["__version__"] = new JsonObject { ["sentence_transformers"] = "3.0.0" },
            ["prompts"] = prompts,
            ["default_prompt_name"] = null,
            ["similarity_fn_name"] = modules.UsesDotProduct ? "dot" : "cosine",
        });
        List<JsonNode> list = [Module(0, "", "Transformer"), Module(1, "1_Pooling", "Pooling")];
        foreach (DenseModule dense in modules.Dense)
        {
            Save(folder, Path.Combine(dense.Folder, "config.json"), dense.ToJson());
            list.Add(Module(list.Count, dense.Folder, "Dense"));
        }

        if (modules.Normalize)
        {
            string name = $"{list.Count}_Normalize";
            list.Add(Module(list.Count, name, "Normalize"));
            // The module has no settings; some versions want its folder.
            Directory.CreateDirectory(Path.Combine(folder, name));
        }

        // Last: without it the folder is a plain checkpoint.
        Save(folder, SentenceTransformerFolder.ModulesFile, new JsonArray([.. list]));
    }

    private static JsonObject Module(int index, string path, string type) =>
        new() { ["idx"] = index, ["name"] = $"{index}", ["path"] = path, ["type"] = $"sentence_transformers.models.{type}" };

    private static void Save(string folder, string name, JsonNode json) =>
        AtomicFile.WriteText(Path.Combine(folder, name), json.ToJsonString(s_indented) + "\n");
}
