// The problems of bench_compiled.py with derivatives written by hand: plain scalar C++, no BLAS, no vector mathematics.
// Each function returns the value and fills the gradient.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

extern "C" {

// log Σ exp(x - max x) + max x
double lse(const double *x, long n, double *gradient) {
    double top = x[0], sum = 0.0;
    for (long i = 1; i < n; ++i) top = std::max(top, x[i]);
    for (long i = 0; i < n; ++i) sum += gradient[i] = std::exp(x[i] - top);
    for (long i = 0; i < n; ++i) gradient[i] /= sum;
    return std::log(sum) + top;
}

// ½ Σᵢ (sign tᵢ - Σⱼ xⱼ tᵢʲ)², tᵢ = -1 + 2i/(n - 1)
double llsq(const double *x, long m, long n, double *gradient) {
    double value = 0.0;
    std::fill(gradient, gradient + m, 0.0);
    for (long i = 0; i < n; ++i) {
        const double t = -1.0 + 2.0 * double(i) / double(n - 1);
        const double sign = t > 0 ? 1.0 : t < 0 ? -1.0 : 0.0;
        double p = 0.0, power = 1.0;
        for (long j = 0; j < m; ++j, power *= t) p += x[j] * power;
        const double rest = sign - p;
        value += 0.5 * rest * rest;
        power = 1.0;
        for (long j = 0; j < m; ++j, power *= t) gradient[j] -= rest * power;
    }
    return value;
}

// Σᵢ minⱼ ‖pᵢ - cⱼ‖²: gradient and Hessian diagonal in c
double kmeans(const double *points, const double *centres, long n, long k, long d, double *gradient, double *diagonal) {
    double value = 0.0;
    std::fill(gradient, gradient + k * d, 0.0);
    std::fill(diagonal, diagonal + k * d, 0.0);
    for (long i = 0; i < n; ++i) {
        const double *p = points + i * d;
        long nearest = 0;
        double least = HUGE_VAL;
        for (long j = 0; j < k; ++j) {
            double distance = 0.0;
            for (long a = 0; a < d; ++a) {
                const double delta = p[a] - centres[j * d + a];
                distance += delta * delta;
            }
            if (distance < least) least = distance, nearest = j;
        }
        value += least;
        for (long a = 0; a < d; ++a) {
            gradient[nearest * d + a] += 2.0 * (centres[nearest * d + a] - p[a]);
            diagonal[nearest * d + a] += 2.0;
        }
    }
    return value;
}

// Log posterior of a Gaussian mixture with a Wishart prior (γ = 1, m = 0); lower triangles column by column.
double gmm(const double *alphas, const double *means, const double *q, const double *l, const double *x, long d, long k,
           long n, double *ga, double *gm, double *gq, double *gl) {
    const long triangle = d * (d - 1) / 2;
    std::vector<double> diagonal(k * d), sums(k, 0.0), main(k), residual(k * d), xc(k * d), lower(k * d * d, 0.0);
    std::vector<double> glower(k * d * d, 0.0), back(d);
    double prior = 0.0;
    std::fill(ga, ga + k, 0.0), std::fill(gm, gm + k * d, 0.0);
    for (long j = 0; j < k; ++j) {
        long at = 0;
        for (long a = 0; a < d; ++a) {
            diagonal[j * d + a] = std::exp(q[j * d + a]);
            sums[j] += q[j * d + a];
            for (long b = a + 1; b < d; ++b) lower[(j * d + b) * d + a] = l[j * triangle + at++];
        }
    }
    for (long i = 0; i < k * d; ++i) prior += diagonal[i] * diagonal[i], gq[i] = diagonal[i] * diagonal[i];
    for (long i = 0; i < k * triangle; ++i) prior += l[i] * l[i], gl[i] = l[i];
    double value = -0.5 * double(n * d) * std::log(2.0 * M_PI) + 0.5 * prior;
    double top = alphas[0], total = 0.0;
    for (long j = 1; j < k; ++j) top = std::max(top, alphas[j]);
    for (long j = 0; j < k; ++j) total += std::exp(alphas[j] - top);
    value -= double(n) * (std::log(total) + top);
    for (long j = 0; j < k; ++j) ga[j] -= double(n) * std::exp(alphas[j] - top) / total;
    for (long i = 0; i < n; ++i) {
        double most = -HUGE_VAL, weight = 0.0;
        for (long j = 0; j < k; ++j) {
            double squares = 0.0;
            for (long a = 0; a < d; ++a) xc[j * d + a] = x[i * d + a] - means[j * d + a];
            for (long b = 0; b < d; ++b) {
                double r = diagonal[j * d + b] * xc[j * d + b];
                for (long a = 0; a < b; ++a) r += lower[(j * d + b) * d + a] * xc[j * d + a];
                residual[j * d + b] = r;
                squares += r * r;
            }
            main[j] = alphas[j] + sums[j] - 0.5 * squares;
            most = std::max(most, main[j]);
        }
        for (long j = 0; j < k; ++j) weight += main[j] = std::exp(main[j] - most);
        value += std::log(weight) + most;
        for (long j = 0; j < k; ++j) {
            const double w = main[j] / weight;
            ga[j] += w;
            std::fill(back.begin(), back.end(), 0.0);
            for (long b = 0; b < d; ++b) {
                const double r = -w * residual[j * d + b];
                gq[j * d + b] += w + r * diagonal[j * d + b] * xc[j * d + b];
                back[b] += r * diagonal[j * d + b];
                for (long a = 0; a < b; ++a) {
                    glower[(j * d + b) * d + a] += r * xc[j * d + a];
                    back[a] += r * lower[(j * d + b) * d + a];
                }
            }
            for (long a = 0; a < d; ++a) gm[j * d + a] -= back[a];
        }
    }
    for (long j = 0; j < k; ++j) {
        long at = 0;
        for (long a = 0; a < d; ++a)
            for (long b = a + 1; b < d; ++b) gl[j * triangle + at++] += glower[(j * d + b) * d + a];
    }
    return value;
}

// y = x, then 50 rounds of (y - x)/2 + y and exp(sin(1.01 y + 0.1)) in turn: reverse mode on a record of y
double chain(double x, double *gradient) {
    double record[51];
    record[0] = x;
    for (int i = 0; i < 50; ++i)
        record[i + 1] = i % 2 ? std::exp(std::sin(record[i] * 1.01 + 0.1)) : (record[i] - x) * 0.5 + record[i];
    double back = 1.0, gx = 0.0;
    for (int i = 49; i >= 0; --i) {
        if (i % 2) {
            back *= record[i + 1] * std::cos(record[i] * 1.01 + 0.1) * 1.01;
        } else {
            gx -= 0.5 * back;
            back *= 1.5;
        }
    }
    *gradient = gx + back;
    return record[50];
}

// What a call costs that passes the argument and the results of `chain`.
double nothing(double x, double *gradient) {
    *gradient = x;
    return x;
}
}
