using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Takes weights by canonical name and shape while a family assembles its network, and collects what the network consists of.</summary>
internal sealed class ModelBuilder(IBackend backend, IWeightSource weights, ModelConfig config) : IDisposable
{
    private readonly List<Parameter> _parameters = [];
    private readonly List<Linear> _linears = [];
    private readonly List<IDisposable> _owned = [];

    /// <summary>The backend that the network will run on.</summary>
    public IBackend Backend => backend;

    /// <summary>What <c>config.json</c> says.</summary>
    public ModelConfig Config => config;

    /// <summary>The weights called <paramref name="name"/>. Vectors (norms, biases) are widened to F32; matrices stay as stored, and are widened where they are used.</summary>
    /// <exception cref="InputException">Missing, or of another shape.</exception>
    public Parameter Parameter(string name, params ReadOnlySpan<long> shape)
    {
        Tensor value = weights.Load(backend, name, new Shape(shape), _owned);
        if (shape.Length == 1 && value.DType != DType.F32) value = Widen(value);
        Parameter parameter = new(name, value);
        _parameters.Add(parameter);
        return parameter;
    }

    /// <summary>The linear map <paramref name="name"/> from <paramref name="inputs"/> to <paramref name="outputs"/>.</summary>
    public Linear Linear(string name, long outputs, long inputs, bool bias)
    {
        Parameter weight = Parameter($"{name}.weight", outputs, inputs);
        Linear linear = new(name, weight, bias ? Parameter($"{name}.bias", outputs) : null);
        _linears.Add(linear);
        return linear;
    }

    /// <summary>The RMSNorm <paramref name="name"/>.</summary>
    public Norm RmsNorm(string name) => new(backend, isRms: true, Parameter($"{name}.weight", config.HiddenSize), bias: null, (float)config.NormEps, weightOffset: 0);

    /// <summary>The LayerNorm <paramref name="name"/>.</summary>
    public Norm LayerNorm(string name) =>
        new(backend, isRms: false, Parameter($"{name}.weight", config.HiddenSize), Parameter($"{name}.bias", config.HiddenSize), (float)config.NormEps, weightOffset: 0);

    /// <summary>Rotary tables for <paramref name="rotaryDim"/> elements of a head.</summary>
    public RopeTable Rope(int rotaryDim)
    {
        RopeTable rope = new(backend, RopeFrequencies.Compute(config, rotaryDim));
        _owned.Add(rope);
        return rope;
    }

    /// <summary>The finished network.</summary>
    public Transformer Build(InputEmbedding embedding, TransformerLayer[] layers, Norm? finalNorm)
    {
        weights.Complete(_parameters.Select(p => p.Name).ToHashSet());
        // The source last: on the CPU the weights view its files.
        _owned.Add(weights);
        return new Transformer(backend, config, embedding, layers, finalNorm, _parameters, _linears, _owned);
    }

    /// <summary>Gives everything back that was taken, for a network that was not finished.</summary>
    public void Dispose()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
        weights.Dispose();
    }

    private Tensor Widen(Tensor value)
    {
        DeviceMemory memory = backend.Allocate(value.Count * sizeof(float));
        _owned.Add(memory);
        Tensor wide = new(memory, 0, value.Shape, DType.F32);
        backend.Cast(value, wide);
        return wide;
    }
}
