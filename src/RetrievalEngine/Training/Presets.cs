using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Reranking;

namespace RetrievalEngine.Training;

/// <summary>
/// The conventions of RepLLaMA and RankLLaMA (Ma et al. 2023) in both generations of their code, Tevatron, and of the study of backbones. They differ in what decides
/// results: BOS, spaces, lengths, templates. Lengths count all tokens, special ones included.
/// </summary>
public static class Presets
{
    private static readonly AdapterConfig s_llamaLora = new()
    {
        R = 32,
        LoraAlpha = 64,
        LoraDropout = 0.1,
        TargetModules = ["q_proj", "v_proj", "o_proj", "down_proj", "up_proj", "gate_proj"],
    };

    private static readonly string[] s_sevenMaps = ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj", "up_proj", "gate_proj"];

    // Tokens cut at the maximum less 3, without special ones; then EOS, and BOS where the tokenizer of the day added it.
    private static readonly ContractOverrides s_repLlama = new()
    {
        QueryPrefix = "query: ",
        PassagePrefix = "passage: ",
        Strip = false,
        AddSpecialTokens = false,
        AppendEosToken = true,
        QueryMaxLength = 30,
        PassageMaxLength = 194,
        Pooling = Pooling.Last,
        Normalize = true,
        Temperature = 0.01f,
    };

    private static readonly TrainingOptions s_repLlamaTraining = new() { BatchSize = 8, AccumulationSteps = 16, TrainGroupSize = 16, LearningRate = 1e-4f, WarmupSteps = 100 };

    private static readonly ContractOverrides s_study = new()
    {
        QueryPrefix = "query: ",
        PassagePrefix = "passage: ",
        QueryMaxLength = 64,
        PassageMaxLength = 160,
        Normalize = true,
        Temperature = 0.02f,
    };

    private static readonly TrainingOptions s_studyTraining = new() { BatchSize = 128, TrainGroupSize = 8, LearningRate = 3e-4f, WarmupRatio = 0.1 };

    /// <summary>All of them.</summary>
    public static IReadOnlyList<Preset> All { get; } =
    [
        new("repllama-2023-nobos", TrainingTaskKind.Retriever, "RepLLaMA as trained in 2023 (transformers 4.33): EOS but no BOS; candidates of one device's batch; LoRA r 32 on six maps")
        {
            Contract = s_repLlama,
            Lora = s_llamaLora,
            Training = s_repLlamaTraining,
        },
        new("repllama-hf", TrainingTaskKind.Retriever, "RepLLaMA by its model card and later tokenizers: BOS and EOS; candidates gathered over devices; LoRA r 32 on six maps")
        {
            Contract = s_repLlama with { AddSpecialTokens = true, QueryMaxLength = 31, PassageMaxLength = 195 },
            Lora = s_llamaLora,
            Training = s_repLlamaTraining with { BatchSize = 32, AccumulationSteps = 4 },
        },
        new("tevatron-101", TrainingTaskKind.Retriever, "Tevatron's README since 2024 (Mistral-7B): \"Query: \", \"Passage: \", BOS and EOS; LoRA r 16 on seven maps")
        {
            Contract = new ContractOverrides
            {
                QueryPrefix = "Query: ",
                PassagePrefix = "Passage: ",
                Strip = true,
                AddSpecialTokens = true,
                AppendEosToken = true,
                QueryMaxLength = 32,
                PassageMaxLength = 156,
                Pooling = Pooling.Last,
                Normalize = true,
                Temperature = 0.01f,
            },
            Lora = new AdapterConfig { R = 16, LoraAlpha = 64, LoraDropout = 0.1, TargetModules = s_sevenMaps },
            Training = s_repLlamaTraining with { BatchSize = 32, AccumulationSteps = 4 },
        },
        new("mteb-two-space", TrainingTaskKind.Retriever, "RepLLaMA as MTEB's wrapper calls it: two spaces after the colons, at most 512 tokens")
        {
            Contract = s_repLlama with { QueryPrefix = "query:  ", PassagePrefix = "passage:  ", AddSpecialTokens = true, QueryMaxLength = 512, PassageMaxLength = 512 },
            Lora = s_llamaLora,
            Training = s_repLlamaTraining,
        },
        new("rankllama-2023", TrainingTaskKind.Reranker, "RankLLaMA as published: each text with its own BOS, query 32 + 1 tokens, document 161 + 1 (in training 193 + 1), no EOS; LoRA r 32 on six maps")
        {
            Rerank = new RerankOverrides
            {
                Layout = PairLayout.Segments,
                QueryPrefix = "query: ",
                PassagePrefix = "document: ",
                Strip = false,
                HyphensToSpaces = false,
                AddSpecialTokens = true,
                AppendEosToken = false,
                QueryMaxLength = 33,
                PassageMaxLength = 162,
            },
            Lora = s_llamaLora,
            Training = new TrainingOptions { BatchSize = 4, AccumulationSteps = 32, TrainGroupSize = 16, LearningRate = 1e-4f },
        },
        new("rankllama-2024", TrainingTaskKind.Reranker, "RankLLaMA by Tevatron since 2024: one string with doubled spaces and one BOS, hyphens in titles become spaces, 196 tokens; LoRA r 8")
        {
            Rerank = new RerankOverrides
            {
                Layout = PairLayout.Joined,
                QueryPrefix = "query:  ",
                PassagePrefix = "document:  ",
                Strip = false,
                HyphensToSpaces = true,
                AddSpecialTokens = true,
                AppendEosToken = false,
                MaxLength = 196,
            },
            Lora = new AdapterConfig { R = 8, LoraAlpha = 64, LoraDropout = 0.1, TargetModules = s_sevenMaps },
            Training = new TrainingOptions { BatchSize = 16, AccumulationSteps = 4, TrainGroupSize = 16, LearningRate = 1e-4f },
        },
        new("backbones-llm", TrainingTaskKind.Retriever, "The study of backbones, decoders: last token with EOS, 7 negatives, rate 3e-4, temperature 0.02; prefixes, lengths and LoRA's shape are a guess from the group's code")
        {
            Contract = s_study with { AppendEosToken = true, Pooling = Pooling.Last },
            Lora = new AdapterConfig { R = 64, LoraAlpha = 16, LoraDropout = 0.1, TargetModules = s_sevenMaps },
            Training = s_studyTraining,
        },
        new("backbones-bert", TrainingTaskKind.Retriever, "The study of backbones, BERT: all weights, [CLS]; the rest as backbones-llm")
        {
            Contract = s_study with { AppendEosToken = false, Pooling = Pooling.Cls },
            Training = s_studyTraining,
        },
        new("backbones-t5", TrainingTaskKind.Retriever, "The study of backbones, T5's encoder: all weights, mean of all tokens; the rest as backbones-llm")
        {
            Contract = s_study with { AppendEosToken = false, Pooling = Pooling.Mean },
            Training = s_studyTraining,
        },
    ];

    /// <summary>The preset called <paramref name="name"/>.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static Preset Find(string name) =>
        All.FirstOrDefault(preset => preset.Name == name) ?? throw new InputException($"there is no preset \"{name}\"; there are {string.Join(", ", All.Select(preset => preset.Name))}");
}
