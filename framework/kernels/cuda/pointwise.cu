// Activation functions and their gradients, elementwise: y = f(x), and g f'(x), for some of them
// from the result y.

#define UNARY(name, parameters, ...) \
    KERNEL(name, parameters, const T* const in[1] = {x}; \
           rewrite(in, y, n, thread_number(), thread_count(), [&](i64, const A* v_) { \
               A v = v_[0]; \
               __VA_ARGS__ \
           }))
#define BINARY(name, parameters, ...) \
    KERNEL(name, parameters, const T* const in[2] = {g, x}; \
           rewrite(in, y, n, thread_number(), thread_count(), [&](i64, const A* v_) { \
               A d = v_[0], v = v_[1]; \
               __VA_ARGS__ \
           }))
#define X const T* x, T* y, i64 n
#define GX const T* g, const T* x, T* y, i64 n

#define ROOT_HALF A(0.70710678118654752)
#define INV_SQRT2PI A(0.39894228040143268)
#define GELU_A A(0.79788456080286536)
#define GELU_B A(0.044715)

// The normal distribution: its sum below v, and its density there.
template <class T> struct Normal {
    typedef typename Wide<T>::type A;
    A below, density;
    // erfc keeps its digits where v is far below zero; 1 + erf does not.
    __device__ Normal(A v)
        : below(A(0.5) * erfc_(-v * ROOT_HALF)),
          density(INV_SQRT2PI * exp_(A(-0.5) * v * v)) {}
};
// Of 16 bits: the tail is Q(s) = e^(-s^2/2) r(1 / (1 + 0.3 s)), where r is a polynomial whose
// largest relative error on [0, 13.5] is least (1.9e-6, by Lawson's algorithm against SciPy's
// erfcx), which is less than a hundredth of what rounding loses. erfc takes three times as many
// instructions, which would take longer than the memory.
struct NormalOfHalves {
    float below, density;
    __device__ NormalOfHalves(float v) {
        float size = fminf(fabsf(v), 15.0f);  // there the tail is zero
        float height = exp2f(size * size * -0.72134752f), t = inverse(1.0f + 0.3f * size);
        float tail = -0.0845933033f;
        tail = tail * t + 0.240573082f;
        tail = tail * t - 0.0486448836f;
        tail = tail * t + 0.164764851f;
        tail = tail * t + 0.106704369f;
        tail = tail * t + 0.121274736f;
        tail = (tail * t - 7.97922712e-05f) * height;
        below = v > 0.0f ? 1.0f - tail : tail;
        density = 0.39894228f * height;
    }
};
template <> struct Normal<f16> : NormalOfHalves { using NormalOfHalves::NormalOfHalves; };
template <> struct Normal<bf16> : NormalOfHalves { using NormalOfHalves::NormalOfHalves; };

UNARY(gelu, (X), return v * Normal<T>(v).below;)
BINARY(gelu_backward, (GX), Normal<T> at(v); return d * (at.below + v * at.density);)
UNARY(gelu_tanh, (X), return A(0.5) * v * (A(1) + tanh_(GELU_A * (v + GELU_B * v * v * v)));)
BINARY(gelu_tanh_backward, (GX),
       A t = tanh_(GELU_A * (v + GELU_B * v * v * v));
       A inner = GELU_A * (A(1) + A(3) * GELU_B * v * v);
       return d * (A(0.5) * (A(1) + t) + A(0.5) * v * (A(1) - t * t) * inner);)
UNARY(silu, (X), return v * sigmoid_(v);)
BINARY(silu_backward, (GX), A s = sigmoid_(v); return d * (s * (A(1) + v * (A(1) - s)));)
UNARY(relu, (X), return v < A(0) ? A(0) : v;)
UNARY(leaky_relu, (X, double slope), return v > A(0) ? v : v * A(slope);)
BINARY(leaky_relu_backward, (GX, double slope), return v > A(0) ? d : d * A(slope);)
UNARY(elu, (X, double alpha, double scale, double input_scale),
      return v > A(0) ? v * A(scale) : A(alpha * scale) * expm1_(v * A(input_scale));)
BINARY(elu_backward, (GX, double alpha, double scale, double input_scale),
       return d * (v > A(0) ? A(scale)
                            : A(alpha * scale * input_scale) * exp_(v * A(input_scale)));)
UNARY(sigmoid, (X), return sigmoid_(v);)
UNARY(tanh, (X), return tanh_(v);)

// Of these the gradient is a function of the result: x is y here.
BINARY(relu_backward, (GX), return v <= A(0) ? A(0) : d;)
BINARY(sigmoid_backward, (GX), return d * (A(1) - v) * v;)
BINARY(tanh_backward, (GX), return d * (A(1) - v * v);)
